"""The floors below the chapter's own modules: graph parts, engine, data, tools."""
