"""The tables, as a list of steps: a database of version N has had the first N of them."""

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE user (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        admin INTEGER NOT NULL DEFAULT 0,
        token_sha256 BLOB UNIQUE,
        created_on TEXT NOT NULL
    );

    CREATE TABLE node (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        owner TEXT NOT NULL,
        attributes TEXT NOT NULL,
        file_name TEXT NOT NULL,
        file_format TEXT NOT NULL,
        content_id TEXT,
        size INTEGER NOT NULL DEFAULT 0,
        md5 TEXT,
        content_since TEXT NOT NULL DEFAULT '',
        parts_count INTEGER,
        parts_open_ended INTEGER NOT NULL DEFAULT 0,
        compression TEXT NOT NULL DEFAULT '',
        locked_since TEXT,
        lock_error TEXT NOT NULL DEFAULT '',
        tags TEXT NOT NULL,
        priority INTEGER NOT NULL,
        created_on TEXT NOT NULL,
        last_modified TEXT NOT NULL DEFAULT '',
        expiration TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX node_content ON node (content_id);
    CREATE INDEX node_md5 ON node (md5);
    CREATE INDEX node_expiration ON node (expiration) WHERE expiration <> '';
    CREATE INDEX node_locked ON node (locked_since) WHERE locked_since IS NOT NULL;

    CREATE TABLE part (
        node INTEGER NOT NULL REFERENCES node (serial) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        name TEXT NOT NULL,
        content_id TEXT NOT NULL,
        size INTEGER NOT NULL,
        md5 TEXT NOT NULL,
        PRIMARY KEY (node, number)
    ) WITHOUT ROWID;
    CREATE INDEX part_content ON part (content_id);

    CREATE TABLE permission (
        position INTEGER PRIMARY KEY,
        node INTEGER NOT NULL REFERENCES node (serial) ON DELETE CASCADE,
        may TEXT NOT NULL,
        user TEXT NOT NULL,
        UNIQUE (node, may, user)
    );

    CREATE TABLE attribute (
        node INTEGER NOT NULL REFERENCES node (serial) ON DELETE CASCADE,
        path TEXT NOT NULL,
        kind INTEGER NOT NULL,
        number NUMERIC,
        text TEXT
    );
    CREATE INDEX attribute_node ON attribute (node, path);
    CREATE INDEX attribute_text ON attribute (path, substr(text, 1, 100), node) WHERE text IS NOT NULL;
    CREATE INDEX attribute_number ON attribute (path, number, node) WHERE number IS NOT NULL;
    """,
    """
    -- Short texts are answered by the index alone; of long ones, such as a Dockerfile, it holds the start.
    DROP INDEX attribute_text;
    CREATE INDEX attribute_short ON attribute (path, text, node) WHERE length(text) <= 100;
    CREATE INDEX attribute_long ON attribute (path, substr(text, 1, 100), node) WHERE length(text) > 100;
    CREATE INDEX node_owner ON node (owner);
    """,
    """
    -- Files that are older than their database belong to another one. Empty: it was made before this was noted.
    CREATE TABLE store (created_on TEXT NOT NULL);
    INSERT INTO store VALUES ('');
    """,
    """
    CREATE TABLE link (
        name_sha256 BLOB PRIMARY KEY,
        user TEXT NOT NULL,
        link TEXT NOT NULL,
        valid_until TEXT NOT NULL
    );
    CREATE INDEX link_user ON link (user);
    CREATE INDEX link_end ON link (valid_until);
    """,
)

NOTED_SINCE = 3
"""The version since which a database says when it was made."""
