import pytest

from autoencoding.data import delimited
from autoencoding.data.delimited import Dialect


@pytest.fixture
def read(tmp_path):
    def read(content, **given):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        columns, dialect, remarks = delimited.read(path, Dialect(**given))
        return {name: array.to_pylist() for name, array in columns.items()}, dialect, remarks

    return read


@pytest.mark.parametrize(
    ("content", "separator", "decimal"),
    [
        ("a;b\n1,5;20,1\n2,5;3\n", ";", ","),
        ("a,b\n1.5,20.1\n2.5,3\n", ",", "."),
        ("a\tb\n1,5\t20\n", "\t", ","),
        ("a|b\n1.5|x,y\n", "|", "."),
        ('a,b\n"1;5;6",2\n"7;8",3\n', ",", "."),
        ('"a;b";c\n1;2\n', ";", "."),
        ("sep=;\na;b\n1,5;2,5\n", ";", ","),  # as spreadsheets tell it
        ("a;b\n1.234,5;x\n", ";", "."),  # marks of thousands are not guessed
    ],
)
def test_separator_and_decimal_mark_are_found_out(read, content, separator, decimal):
    columns, dialect, _ = read(content)
    assert (dialect.separator, dialect.decimal) == (separator, decimal)
    assert len(columns) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_that_a_mark_tells_are_read(read, encoding):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    columns, dialect, _ = read(mark + "größe,b\nü,1\n".encode(encoding))
    assert columns == {"größe": ["ü"], "b": ["1"]}
    assert str(dialect).startswith("utf-")


def test_other_encodings_are_asked_for(read):
    content = "größe\nü\n".encode("cp1252")
    with pytest.raises(ValueError, match="is not in utf-8 .* give its encoding, such as"):
        read(content)
    assert read(content, encoding="cp1252")[0] == {"größe": ["ü"]}
    with pytest.raises(ValueError, match="there is no encoding 'foo'"):
        read(content, encoding="foo")
    with pytest.raises(ValueError, match="NUL characters"):
        read("a,b\n1,2\n".encode("utf-16-le"))


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("v\n1.0\n\n3.0\n4.0\n\n90.0\n", {"v": ["1.0", None, "3.0", "4.0", None, "90.0"]}),
        ("a,b\n1,2\n\n3,4\n\n\n", {"a": ["1", None, "3"], "b": ["2", None, "4"]}),
        ('a,b\n1,"x\n\ny"\n3,4', {"a": ["1", "3"], "b": ["x\n\ny", "4"]}),
        ("a,b\r\n1,2\r\n3,4\r\n", {"a": ["1", "3"], "b": ["2", "4"]}),
        ('a,b\n"he said ""no""",2\n', {"a": ['he said "no"'], "b": ["2"]}),
        ('a,b\n,""\nx,\n', {"a": [None, "x"], "b": [None, None]}),
        ("a,b\n", {"a": [], "b": []}),
    ],
)
def test_every_record_is_a_row(read, content, columns):
    assert read(content)[0] == columns


def test_fields_are_never_shifted(read):
    columns, _, remarks = read("a,b,c\n1,2,3,\n4,5,6\n")
    assert columns == {"a": ["1", "4"], "b": ["2", "5"], "c": ["3", "6"]}
    assert remarks == ["an empty last field is dropped in 1 of 2 rows"]
    for record in ("1,2,3,4", "1,2", "1,2,3,,"):
        with pytest.raises(ValueError, match=f"line 3 must have 3 fields, .*: {record}"):
            read(f"a,b,c\n1,2,3\n{record}\n")
    with pytest.raises(ValueError, match="line"):
        read('a,b\n1,"2\n3,4\n')


def test_names_are_made_different_and_doubted_where_they_are_numbers(read):
    columns, _, remarks = read("a,a,,a\n1,2,3,4\n")
    assert list(columns) == ["a", "a.1", "Unnamed: 2", "a.2"]
    assert remarks[0] == "a second column 'a' is called 'a.1'"
    assert read("5.1,3.5\n4.9,3.0\n")[2] == [
        "the first line, 5.1, 3.5, is taken for names of columns"
    ]
    assert "one column alone" in read("v\n1\n")[2][0]
    with pytest.raises(ValueError, match="must begin with a line of names"):
        read("")
