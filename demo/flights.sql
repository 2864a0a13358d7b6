-- New York flights of 2013, kept as live views. Each table has file connectors of its own; the second and third flights
-- connectors are created paused, so that the program starts with the first third of the year.

CREATE TABLE airlines (
    carrier VARCHAR NOT NULL PRIMARY KEY,
    name    VARCHAR NOT NULL
) WITH ('connectors' = '[{
    "name": "file",
    "transport": {"name": "file_input", "config": {"path": "{data}/airlines.csv"}},
    "format": {"name": "csv", "config": {"headers": true}}
}]');

CREATE TABLE airports (
    faa  VARCHAR NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL,
    lat  DOUBLE,
    lon  DOUBLE,
    alt  INT
) WITH ('connectors' = '[{
    "name": "file",
    "transport": {"name": "file_input", "config": {"path": "{data}/airports.csv"}},
    "format": {"name": "csv", "config": {"headers": true}}
}]');

CREATE TABLE planes (
    tailnum      VARCHAR NOT NULL PRIMARY KEY,
    "year"       INT,
    manufacturer VARCHAR,
    model        VARCHAR,
    seats        INT
) WITH ('connectors' = '[{
    "name": "file",
    "transport": {"name": "file_input", "config": {"path": "{data}/planes.csv"}},
    "format": {"name": "csv", "config": {"headers": true}}
}]');

CREATE TABLE weather (
    origin     VARCHAR NOT NULL,
    time_hour  TIMESTAMP NOT NULL,
    temp       DOUBLE,
    wind_speed DOUBLE,
    precip     DOUBLE,
    visib      DOUBLE,
    PRIMARY KEY (origin, time_hour)
) WITH ('connectors' = '[{
    "name": "file",
    "transport": {"name": "file_input", "config": {"path": "{data}/weather.csv"}},
    "format": {"name": "csv", "config": {"headers": true}}
}]');

CREATE TABLE flights (
    "month"   INT NOT NULL,
    "day"     INT NOT NULL,
    carrier   VARCHAR NOT NULL,
    flight    INT NOT NULL,
    origin    VARCHAR NOT NULL,
    dest      VARCHAR NOT NULL,
    tailnum   VARCHAR,
    dep_delay INT,
    arr_delay INT,
    air_time  INT,
    distance  INT NOT NULL,
    time_hour TIMESTAMP NOT NULL,
    PRIMARY KEY ("month", "day", carrier, flight, origin)
) WITH ('connectors' = '[{
    "name": "january_to_april",
    "transport": {"name": "file_input", "config": {"path": "{data}/flights-1.ndjson", "buffer_size_bytes": 16384}},
    "format": {"name": "json", "config": {"update_format": "raw"}},
    "max_batch_size": 10000
}, {
    "name": "may_to_august",
    "paused": true,
    "transport": {"name": "file_input", "config": {"path": "{data}/flights-2.ndjson"}},
    "format": {"name": "json", "config": {"update_format": "raw"}}
}, {
    "name": "september_to_december",
    "paused": true,
    "transport": {"name": "file_input", "config": {"path": "{data}/flights-3.ndjson"}},
    "format": {"name": "json", "config": {"update_format": "raw"}}
}]');

CREATE MATERIALIZED VIEW delay_by_carrier_month AS
SELECT a.name AS airline,
       f."month",
       COUNT(*) AS flights,
       COUNT(*) FILTER (WHERE f.dep_delay IS NULL) AS cancelled,
       CAST(SUM(f.dep_delay) AS DOUBLE) / COUNT(f.dep_delay) AS mean_delay,
       MAX(f.dep_delay) AS worst_delay
FROM flights f JOIN airlines a ON f.carrier = a.carrier
GROUP BY a.name, f."month";

CREATE MATERIALIZED VIEW worst_routes AS
SELECT o.name AS from_airport, d.name AS to_airport, r.flights, r.mean_delay
FROM (SELECT origin, dest, COUNT(*) AS flights,
             CAST(SUM(arr_delay) AS DOUBLE) / COUNT(arr_delay) AS mean_delay
      FROM flights
      GROUP BY origin, dest
      HAVING COUNT(arr_delay) >= 100) r
JOIN airports o ON r.origin = o.faa
JOIN airports d ON r.dest = d.faa
ORDER BY r.mean_delay DESC
LIMIT 10;

CREATE MATERIALIZED VIEW delay_by_weather_hour AS
SELECT EXTRACT(HOUR FROM f.time_hour) AS utc_hour,
       CASE WHEN w.precip > 0 THEN 'rain'
            WHEN w.wind_speed >= 20 THEN 'wind'
            WHEN w.visib < 5 THEN 'mist'
            ELSE 'fair' END AS weather,
       COUNT(*) AS flights,
       CAST(SUM(f.dep_delay) AS DOUBLE) / COUNT(f.dep_delay) AS mean_delay
FROM flights f JOIN weather w ON f.origin = w.origin AND f.time_hour = w.time_hour
WHERE f.dep_delay IS NOT NULL
GROUP BY EXTRACT(HOUR FROM f.time_hour),
         CASE WHEN w.precip > 0 THEN 'rain'
              WHEN w.wind_speed >= 20 THEN 'wind'
              WHEN w.visib < 5 THEN 'mist'
              ELSE 'fair' END;

CREATE MATERIALIZED VIEW top_planes AS
SELECT f.tailnum, p.manufacturer, p.model, COUNT(*) AS flights, SUM(CAST(f.distance AS BIGINT)) AS miles
FROM flights f LEFT JOIN planes p ON f.tailnum = p.tailnum
WHERE f.tailnum IS NOT NULL
GROUP BY f.tailnum, p.manufacturer, p.model
ORDER BY miles DESC
LIMIT 10;
