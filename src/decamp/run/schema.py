"""The tables of the state database: plans, runs, actions, the ledger, locks and turns with who waits, workers. DBOS has its own beside."""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 5
"""Of these tables. A database of a newer version is refused, one of an older is upgraded where it is opened."""

metadata = sa.MetaData()

version = sa.Table("decamp_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))

plans = sa.Table(
    "decamp_plan",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("stored_at", sa.String(32), nullable=False),
)

runs = sa.Table(
    "decamp_run",
    metadata,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("plan", sa.ForeignKey("decamp_plan.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="Of this application of the plan, from 1"),
    sa.Column("goal", sa.Text, nullable=False, comment="JSON"),
    sa.Column("about", sa.String(80), index=True, comment="The run that an undo or a confirm is about"),
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("round", sa.Integer, nullable=False, comment="Counts resumes: what was begun in an earlier round no longer counts"),
    sa.Column("began_at", sa.String(32), nullable=False),
    sa.Column("ended_at", sa.String(32)),
    sa.Column("outcome", sa.String(16), comment="done, failed, drained or cancelled; null: it is not over"),
    sa.Column("cancel_asked_at", sa.String(32)),
    sa.Column(
        "chain", sa.String(80), index=True, comment="The first of the runs that follow each other; its own id, if none came before it"
    ),
    sa.Column("follows", sa.String(80), comment="The run whose rest it takes up"),
    sa.Column("drained_at", sa.String(32), comment="From then on nothing more of it began: its rest is planned anew"),
    sa.Column("concluded_at", sa.String(32), comment="From then on nothing follows it, but on demand"),
    sa.Column("whole", sa.String(16), comment="How the chain ended here: done, failed or cancelled"),
    sa.Column("conclusion", sa.Text, comment="JSON: why nothing follows"),
    sa.Column("reopened_at", sa.String(32), comment="It was concluded, and resumed: what failed up to here does not count any more"),
    sa.Column("said", sa.Text, comment="What is done after its end, before its follow-up begins"),
    sa.Column("bytes_per_second", sa.BigInteger, comment="What its migrations may take, with those of all runs; null: as much as they can"),
    sa.Column("schedule", sa.Text, comment="JSON: when its actions may begin, and its priority; null: at any time"),
    sa.Column("limits", sa.Text, comment="JSON: of moves at a time, and of the rate of copies; null: none"),
    sa.UniqueConstraint("plan", "number"),
    sa.Index("decamp_run_by_follows", "follows", unique=True),
)

actions = sa.Table(
    "decamp_action",
    metadata,
    sa.Column("run", sa.ForeignKey("decamp_run.id"), primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False, comment="In the plan"),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("tried", sa.Boolean, nullable=False, default=False, comment="An attempt may have had an effect that is not journaled"),
    sa.Column("asked_at", sa.Float(53), comment="Seconds since the epoch: until then a request may have been sent that had no answer"),
    sa.Column("recorded", sa.Boolean, nullable=False, default=False, comment="The effect is journaled in the ledger"),
    sa.Column("holder", sa.String(64), comment="Token of the execution that may write this row: the fence"),
    sa.Column("worker", sa.String(200)),
    sa.Column("started_at", sa.String(32)),
    sa.Column("ended_at", sa.String(32)),
    sa.Column("said", sa.Text, nullable=False, default=""),
    sa.Column("error", sa.Text),
    sa.Column("error_kind", sa.String(16)),
    sa.Column("setback", sa.Text, comment="JSON: the error as those read it who plan the rest"),
    sa.Column("warning", sa.Text),
    sa.Column("bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("progress_done", sa.BigInteger),
    sa.Column("progress_total", sa.BigInteger),
    sa.Column("changed", sa.Float(53), nullable=False, comment="Seconds since the epoch"),
    sa.Index("decamp_action_by_change", "run", "changed"),
)

ledger = sa.Table(
    "decamp_ledger",
    metadata,
    sa.Column("run", sa.ForeignKey("decamp_run.id"), primary_key=True),
    sa.Column("action", sa.Text, primary_key=True),
    sa.Column("old_cloud", sa.String(200), nullable=False),
    sa.Column("new_cloud", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("ref", sa.Text, nullable=False, comment="Id in the old cloud"),
    sa.Column("new_id", sa.Text),
    sa.Column("adopted", sa.Boolean, nullable=False),
    sa.Column("fingerprint", sa.Text),
    sa.Column("facts", sa.Text, nullable=False, comment="JSON"),
    sa.Column("made_at", sa.String(32), nullable=False),
    sa.Column("verified_at", sa.String(32)),
    sa.Column("removed_at", sa.String(32)),
    sa.Index("decamp_ledger_by_ref", "old_cloud", "new_cloud", "kind", "ref"),
    sa.Index("decamp_ledger_by_new_id", "new_cloud", "new_id"),
)

locks = sa.Table(
    "decamp_lock",
    metadata,
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("run", sa.ForeignKey("decamp_run.id"), nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("taken_at", sa.String(32), nullable=False),
)

waits = sa.Table(
    "decamp_wait",
    metadata,
    sa.Column("run", sa.ForeignKey("decamp_run.id"), primary_key=True),
    sa.Column("action", sa.Text, primary_key=True),
    sa.Column("names", sa.Text, nullable=False, comment="JSON: the locks that it waits for"),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("beat", sa.Float(53), nullable=False, comment="Seconds since the epoch: when it asked last"),
)

turns = sa.Table(
    "decamp_turn",
    metadata,
    sa.Column("run", sa.ForeignKey("decamp_run.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True, comment="Of the move"),
    sa.Column("move", sa.Text, nullable=False, comment="JSON"),
    sa.Column("taken_at", sa.String(32), nullable=False),
)

turn_waits = sa.Table(
    "decamp_turn_wait",
    metadata,
    sa.Column("run", sa.ForeignKey("decamp_run.id"), primary_key=True),
    sa.Column("moves", sa.Text, nullable=False, comment="JSON: the first of those that it would begin"),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("since", sa.Float(53), nullable=False, comment="Seconds since the epoch: when it got a turn last, or asked first"),
    sa.Column("beat", sa.Float(53), nullable=False, comment="Seconds since the epoch: when it asked last"),
)

paces = sa.Table(
    "decamp_pace",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("free_at", sa.Float(53), nullable=False, comment="Seconds since the epoch: when what was begun so far has had its time"),
)

workers = sa.Table(
    "decamp_worker",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("host", sa.String(200), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("born", sa.String(64), nullable=False, comment="Start of the process, in the kernel's ticks: a pid alone is used again"),
    sa.Column("place", sa.String(64), nullable=False, comment="Boot and pid namespace: where the pid means something"),
    sa.Column("listens", sa.String(80), comment="The chain of runs that it works for; null: all"),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("beat", sa.Float(53), nullable=False, comment="Seconds since the epoch, by the database's clock"),
    sa.Column("gone_at", sa.String(32), comment="It left, or was found dead: nothing that it writes later counts"),
    sa.Column("relieved_at", sa.String(32), comment="Its work was given to others"),
)

UPGRADES: dict[int, tuple[str, ...]] = {
    2: (
        "ALTER TABLE decamp_run ADD COLUMN chain VARCHAR(80)",
        "ALTER TABLE decamp_run ADD COLUMN follows VARCHAR(80)",
        "ALTER TABLE decamp_run ADD COLUMN drained_at VARCHAR(32)",
        "ALTER TABLE decamp_run ADD COLUMN concluded_at VARCHAR(32)",
        "ALTER TABLE decamp_run ADD COLUMN whole VARCHAR(16)",
        "ALTER TABLE decamp_run ADD COLUMN conclusion TEXT",
        "ALTER TABLE decamp_run ADD COLUMN reopened_at VARCHAR(32)",
        "ALTER TABLE decamp_run ADD COLUMN said TEXT",
        "ALTER TABLE decamp_run ADD COLUMN bytes_per_second BIGINT",
        "ALTER TABLE decamp_action ADD COLUMN setback TEXT",
        "CREATE INDEX ix_decamp_run_chain ON decamp_run (chain)",
        "CREATE UNIQUE INDEX decamp_run_by_follows ON decamp_run (follows)",
        "UPDATE decamp_run SET chain = id, concluded_at = ended_at, whole = outcome",
    ),
    3: ("ALTER TABLE decamp_run ADD COLUMN schedule TEXT",),
    4: ("ALTER TABLE decamp_run ADD COLUMN limits TEXT",),
    5: ("ALTER TABLE decamp_action ADD COLUMN asked_at DOUBLE PRECISION",),
}
"""Version -> what makes it of the one before, beside new tables. Older runs stand alone, and those that are over are concluded."""
