CREATE TABLE decamp_plan (id VARCHAR(64) NOT NULL, document BLOB NOT NULL, stored_at VARCHAR(32) NOT NULL, PRIMARY KEY (id));
CREATE TABLE decamp_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE decamp_worker (
    id VARCHAR(200) NOT NULL, host VARCHAR(200) NOT NULL, pid INTEGER NOT NULL, born VARCHAR(64) NOT NULL, place VARCHAR(64) NOT NULL,
    listens VARCHAR(80), started_at VARCHAR(32) NOT NULL, beat FLOAT NOT NULL, gone_at VARCHAR(32), relieved_at VARCHAR(32), PRIMARY KEY (id)
);
CREATE TABLE decamp_run (
    id VARCHAR(80) NOT NULL, "plan" VARCHAR(64) NOT NULL, number INTEGER NOT NULL, goal TEXT NOT NULL, about VARCHAR(80),
    concurrency INTEGER NOT NULL, round INTEGER NOT NULL, began_at VARCHAR(32) NOT NULL, ended_at VARCHAR(32), outcome VARCHAR(16),
    cancel_asked_at VARCHAR(32), PRIMARY KEY (id), UNIQUE ("plan", number), FOREIGN KEY("plan") REFERENCES decamp_plan (id)
);
CREATE INDEX ix_decamp_run_about ON decamp_run (about);
CREATE TABLE decamp_action (
    run VARCHAR(80) NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, state VARCHAR(16) NOT NULL, attempts INTEGER NOT NULL,
    tried BOOLEAN NOT NULL, recorded BOOLEAN NOT NULL, holder VARCHAR(64), worker VARCHAR(200), started_at VARCHAR(32), ended_at VARCHAR(32),
    said TEXT NOT NULL, error TEXT, error_kind VARCHAR(16), warning TEXT, bytes BIGINT NOT NULL, progress_done BIGINT, progress_total BIGINT,
    changed FLOAT NOT NULL, PRIMARY KEY (run, id), FOREIGN KEY(run) REFERENCES decamp_run (id)
);
CREATE INDEX decamp_action_by_change ON decamp_action (run, changed);
CREATE TABLE decamp_ledger (
    run VARCHAR(80) NOT NULL, action TEXT NOT NULL, old_cloud VARCHAR(200) NOT NULL, new_cloud VARCHAR(200) NOT NULL, kind VARCHAR(64) NOT NULL,
    ref TEXT NOT NULL, new_id TEXT, adopted BOOLEAN NOT NULL, fingerprint TEXT, facts TEXT NOT NULL, made_at VARCHAR(32) NOT NULL,
    verified_at VARCHAR(32), removed_at VARCHAR(32), PRIMARY KEY (run, action), FOREIGN KEY(run) REFERENCES decamp_run (id)
);
CREATE INDEX decamp_ledger_by_new_id ON decamp_ledger (new_cloud, new_id);
CREATE INDEX decamp_ledger_by_ref ON decamp_ledger (old_cloud, new_cloud, kind, ref);
CREATE TABLE decamp_lock (
    name VARCHAR(300) NOT NULL, run VARCHAR(80) NOT NULL, action TEXT NOT NULL, taken_at VARCHAR(32) NOT NULL, PRIMARY KEY (name),
    FOREIGN KEY(run) REFERENCES decamp_run (id)
);
INSERT INTO decamp_schema VALUES (1);
