import pytest

import main
from autoencoding.cli import command


def test_iris_is_what_main_does(capsys):
    options = ["--epochs", "1", "--seed", "3", "--hidden", "4"]
    main.main(options)
    by_main = capsys.readouterr().out
    command.main(["iris", *options])
    assert capsys.readouterr().out == by_main
    assert "reconstructed" in by_main


def test_a_table_is_a_command_with_a_file(tmp_path, capsys):
    (tmp_path / "some.csv").write_text("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(40)))
    command.main(["table", "some.csv", "--epochs", "1"])
    assert "40 rows, 4 numbers each" in capsys.readouterr().out
    assert (tmp_path / "table" / "outliers.csv").exists()


@pytest.mark.parametrize("name", command.COMMANDS)
def test_each_command_has_its_own_help(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        command.main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: autoencoding {name} [-h]")


@pytest.mark.parametrize("options", [[], ["horses"]])
def test_other_commands_are_refused(options, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(options)
    assert "usage: autoencoding [-h] {iris,images,table,inspect}" in capsys.readouterr().err
