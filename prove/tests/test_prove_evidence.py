"""A slice of the tamperings, and what the witness does with rows that nobody of ours wrote."""

from uuid import UUID

import pytest
from prove import evidence
from prove.roles import check_roles, compare

from saras.evidence import Witness, read_chain


@pytest.fixture(scope="module")
def scene():
    with evidence.scene() as made:
        yield made


def test_every_tampering_is_seen(scene):
    outcome = evidence.tamper(scene, 24, 5, lambda: False)
    assert outcome.examples == []
    assert outcome.counts["tamperings"] == 24


def test_a_row_of_a_stranger_is_never_witnessed(scene):
    row = {**scene.rows("audit")[0], "id": evidence.new_id(), "detail": evidence.Json({})}
    evidence._add(scene, "audit", row)
    witness = Witness(scene.path, scene.sources)
    before = read_chain(scene.path)
    assert witness.look() == 0
    assert witness.refused == [f"audit {row['id']} has no genuine seal"]
    assert read_chain(scene.path) == before
    scene.restore()


def test_a_witness_reads_only_what_is_new(scene):
    witness = Witness(scene.path, scene.sources)
    witness.look()
    assert list(scene.sources.certificates())
    assert list(scene.sources.certificates(witness._numbers)) == []
    assert list(scene.sources.audit(UUID(int=0), witness._late)) == []
    assert witness.look() == 0


def test_a_line_cut_short_by_a_crash_is_written_again_and_a_changed_one_is_seen(scene):
    whole = scene.path.read_text()
    lines = whole.splitlines(keepends=True)
    scene.path.write_text("".join(lines[:-1]) + lines[-1][:20])
    assert len(read_chain(scene.path)) == len(lines) - 1
    Witness(scene.path, scene.sources).look()
    assert scene.path.read_text() == whole
    scene.path.write_text(whole.replace('"audit"', '"other"', 1))
    assert "does not follow" in scene.check()[0]
    scene.path.write_text(whole)
    assert scene.check() == []


def test_database_logins_may_do_what_the_matrix_says_and_nothing_else(postgres):
    outcome = check_roles(postgres)
    assert outcome.examples == []
    assert outcome.counts["rights of database logins tried"] > 1_000


def test_a_right_too_many_and_one_missing_are_named():
    found, agreed = {"a": {"a.t": ["DELETE", "SELECT"]}}, {"a": {"a.t": ["SELECT", "INSERT"]}}
    assert compare(found, agreed) == ["a may DELETE on a.t", "a may not INSERT on a.t"]
