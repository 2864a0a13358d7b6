-- Who can read which folder (shared-folders)
--
-- Groups contain groups and folders lie in folders, so a permission reaches as far as both go. A recursive view keeps
-- the whole answer up to date; to take a right away, delete its row from `grants` and watch what disappears.
--

CREATE TABLE members (
    member BIGINT NOT NULL,
    team BIGINT NOT NULL,
    PRIMARY KEY (member, team)
) WITH (
    'connectors' = '[{
        "name": "directory",
        "transport": {"name": "datagen", "config": {"plan": [{
            "limit": 400,
            "fields": {
                "member": {"range": [20, 420]},
                "team": {"strategy": "uniform", "range": [0, 20]}
            }
        }]}}
    }]'
);

CREATE TABLE folders (
    id BIGINT NOT NULL PRIMARY KEY,
    parent BIGINT NOT NULL
) WITH (
    'connectors' = '[{
        "name": "files",
        "transport": {"name": "datagen", "config": {"plan": [{
            "limit": 300,
            "fields": {
                "id": {"range": [30, 330]},
                "parent": {"strategy": "uniform", "range": [0, 30]}
            }
        }]}}
    }]'
);

CREATE TABLE grants (
    team BIGINT NOT NULL,
    folder BIGINT NOT NULL,
    PRIMARY KEY (team, folder)
) WITH (
    'materialized' = 'true',
    'connectors' = '[{
        "name": "rights",
        "transport": {"name": "datagen", "config": {"plan": [{
            "limit": 60,
            "fields": {
                "team": {"strategy": "uniform", "range": [0, 20]},
                "folder": {"strategy": "uniform", "range": [0, 30]}
            }
        }]}}
    }]'
);

DECLARE RECURSIVE VIEW readable (team BIGINT NOT NULL, folder BIGINT NOT NULL);

CREATE MATERIALIZED VIEW readable AS
SELECT team, folder FROM grants
UNION
SELECT r.team, f.id AS folder FROM readable r JOIN folders f ON f.parent = r.folder
UNION
SELECT m.member AS team, r.folder FROM readable r JOIN members m ON m.team = r.team;

CREATE MATERIALIZED VIEW readers_of_folder AS
SELECT folder, COUNT(*) AS readers FROM readable GROUP BY folder;
