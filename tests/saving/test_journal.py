import pytest

from autoencoding.saving.journal import Journal

JOB = {"model": "m", "options": [1, None]}


def begun(path, job=JOB):
    journal = Journal(path, job)
    journal.begin()
    return journal


def test_parts_that_are_added_are_there_again(tmp_path):
    path = tmp_path / "in" / "journal"
    journal = begun(path)
    journal.add("a/b.csv", rows=3, version=[1, 2])
    journal.add("ü\n", rows=0, version=[1, 2])
    again = begun(path)
    assert (
        again.parts
        == journal.parts
        == {
            "a/b.csv": {"rows": 3, "version": [1, 2]},
            "ü\n": {"rows": 0, "version": [1, 2]},
        }
    )
    again.add("a/b.csv", rows=4, version=[3, 4])
    assert begun(path).parts["a/b.csv"] == {"rows": 4, "version": [3, 4]}
    assert not again.other_parts


@pytest.mark.parametrize("cut", range(1, 90, 7))
def test_a_line_that_was_cut_short_is_none_and_spoils_no_other(cut, tmp_path):
    path = tmp_path / "journal"
    journal = begun(path)
    journal.add("a", rows=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)])
    again = begun(path)
    assert again.parts in ({}, {"a": {"rows": 1}})
    again.add("b", rows=2)
    assert begun(path).parts == {**again.parts}
    assert begun(path).parts["b"] == {"rows": 2}


def test_a_journal_of_another_job_begins_anew_and_tells_what_it_had(tmp_path):
    begun(tmp_path / "journal").add("a", rows=1)
    other = Journal(tmp_path / "journal", {"model": "n"})
    assert (other.other_parts, other.parts) == (["a"], {})
    other.begin()
    assert Journal(tmp_path / "journal", JOB).other_parts == []
