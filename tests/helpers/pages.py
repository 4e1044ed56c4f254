"""The examples of a page of documentation."""

import re


def examples_of(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
