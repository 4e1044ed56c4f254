import re

import pytest
from cifar_files import NAMES, write_archive, write_folder
from processes import ROOT, run_python, run_script

import main
import main_imgs
from autoencoding.cli import iris

PNG = b"\x89PNG\r\n"


def figures_of(output):
    """RMSE and its ratio to PCA's, of each table printed."""
    found = re.findall(r"^Autoencoder +(\S+) +(\S+) ", output, re.MULTILINE)
    return [(float(rmse), float(ratio)) for rmse, ratio in found]


def test_main_trains_on_iris_tests_one_flower_and_comes_near_pca(tmp_path):
    ran = run_script("main.py", "--seed", "0", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    printed = re.findall(r"^epoch (\d+): loss = ", ran.stdout, re.MULTILINE)
    assert printed == [str(epoch) for epoch in range(0, 250, 10)]
    tested = re.search(
        r"input \[\[8, 4, 6, 2\]\]\ncompressed \[\[\S+\]\]\nreconstructed \[\[(.*)\]\]", ran.stdout
    )
    assert [float(x) for x in tested[1].split()] == pytest.approx([6.8, 2.8, 6.2, 2.2], abs=0.1)
    ((rmse, ratio),) = figures_of(ran.stdout)
    assert 0.29258 <= rmse <= 1.02 * 0.29258
    assert 1 <= ratio <= 1.02
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]
    assert ran.stderr == ""  # not even by TensorFlow


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_main_comes_near_pca_whatever_the_seed(tmp_path, seed):
    ran = run_script("main.py", "--seed", seed, folder=tmp_path)
    ((rmse, _),) = figures_of(ran.stdout)
    assert 0.29258 <= rmse <= 1.02 * 0.29258


def test_main_takes_its_options(tmp_path, capsys):
    options = "--epochs 3 --batch-size 15 --hidden 2 --learning-rate 0.02 --seed 1 --checkpoint a/b"
    iris.main(options.split())
    printed = capsys.readouterr().out
    assert printed.count("epoch ") == 1
    assert "PCA, 2 components" in printed
    assert any((tmp_path / "a" / "b").glob("model-*.json"))


@pytest.mark.parametrize("form", ["archive", "default"])
def test_main_imgs_trains_on_one_class_and_draws(tmp_path, form, capsys):
    folder, _ = write_folder(tmp_path, 200)
    options = f"--epochs 2 --hidden 3 --label {NAMES[1]} --seed 0 --figure drawn.png".split()
    if form == "archive":
        archive = write_archive(folder, tmp_path / "c.tar.gz")
        main_imgs.main(["--data", str(archive), *options])
        printed = capsys.readouterr().out
    else:
        ran = run_script("main_imgs.py", *options, folder=tmp_path)
        assert ran.returncode == 0, ran.stderr
        printed = ran.stdout
    assert re.match(r"shape of the training data \(\d+, 1024\)\n", printed)
    assert len(figures_of(printed)) == 2
    assert (tmp_path / "drawn.png").read_bytes().startswith(PNG)
    assert any((tmp_path / "images.ckpt").glob("model-*.json"))


@pytest.mark.parametrize("script", ["main.py", "main_imgs.py", "main_table.py"])
@pytest.mark.parametrize("options", [["--help"], ["--epochs", "0"], ["--learning-rate", "nan"]])
def test_help_and_wrong_arguments_do_not_wait_for_tensorflow(tmp_path, script, options):
    code = f"""
        import runpy, sys
        sys.argv = [{script!r}, *{options!r}]
        try:
            runpy.run_path({str(ROOT / script)!r}, run_name="__main__")
        except SystemExit as stop:
            print("exit", stop.code, "tensorflow" in sys.modules)
    """
    output = run_python(code, tmp_path)
    assert output.splitlines()[-1] == f"exit {0 if options == ['--help'] else 2} False"
    if options == ["--help"]:
        for option in ("epochs", "batch-size", "hidden", "learning-rate", "seed", "checkpoint"):
            assert f"--{option}" in output


@pytest.mark.parametrize(
    "options",
    ["--data none.csv", "--data a.csv --drop foot", "--data b.csv", "--load none --score a.csv"],
)
def test_wrong_arguments_about_tables_do_not_wait_either(tmp_path, options):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("")
    code = f"""
        import runpy, sys
        sys.argv = ["main_table.py", *{options.split()!r}]
        try:
            runpy.run_path({str(ROOT / "main_table.py")!r}, run_name="__main__")
        except SystemExit as stop:
            print(bool(stop.code), "tensorflow" in sys.modules, "sklearn" in sys.modules)
    """
    assert run_python(code, tmp_path) == "True False False\n"


@pytest.mark.parametrize(
    "options",
    ["--data a.csv", "--load model --score new.csv", "--model variational", "--data=a.csv"],
)
def test_main_names_the_script_for_tables_and_refuses_other_options(options, capsys):
    with pytest.raises(SystemExit, match=r"is for main_table.py$"):
        main.main(options.split())
    with pytest.raises(SystemExit, match="2"):
        main.main(["--deep"])
    assert "unrecognized arguments: --deep" in capsys.readouterr().err


def test_public_names_are_imported_when_they_are_used(tmp_path):
    code = """
        import sys
        import autoencoding
        print("tensorflow" in sys.modules, "sklearn" in sys.modules)
        for name in autoencoding.__all__:
            assert callable(getattr(autoencoding, name)), name
        assert set(autoencoding.__all__) <= set(dir(autoencoding))
        try:
            autoencoding.Nothing
        except AttributeError as error:
            print(error)
        import tensorflow as tf  # for the caller, nothing has changed
        assert tf.executing_eagerly() and tf.config.list_physical_devices("CPU")
        assert float(tf.constant(1.0) + 1) == 2
    """
    output = run_python(code, tmp_path).splitlines()
    assert output == ["False False", "module 'autoencoding' has no attribute 'Nothing'"]
