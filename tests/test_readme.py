import re

from processes import ROOT


def test_the_example_of_the_readme_runs(iris, capsys):
    readme = (ROOT / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {"data": iris})
    printed = capsys.readouterr().out
    assert "PCA, 1 component " in printed
    assert printed.count("reconstructed") == 1
