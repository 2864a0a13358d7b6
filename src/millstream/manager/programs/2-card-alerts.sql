-- Alerts on card payments (card-alerts)
--
-- Each payment is compared with what the same card has paid before: the sum of the last hour, and the average of the
-- last day. Payments that stand out become alerts the moment they arrive.
--

CREATE TABLE payments (
    id BIGINT NOT NULL PRIMARY KEY,
    card BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    paid_at TIMESTAMP NOT NULL
) WITH (
    'connectors' = '[{
        "name": "terminals",
        "transport": {"name": "datagen", "config": {"plan": [{
            "rate": 500,
            "limit": 50000,
            "fields": {
                "card": {"strategy": "uniform", "range": [0, 300]},
                "amount": {"strategy": "zipf", "range": [1, 2000]},
                "paid_at": {"range": ["2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"], "scale": 60000}
            }
        }]}}
    }]'
);

CREATE LOCAL VIEW history AS
SELECT id, card, amount, paid_at,
    SUM(amount) OVER (
        PARTITION BY card ORDER BY paid_at RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW
    ) AS last_hour,
    AVG(amount) OVER (
        PARTITION BY card ORDER BY paid_at RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND CURRENT ROW
    ) AS average_of_day
FROM payments;

CREATE MATERIALIZED VIEW alerts AS
SELECT id, card, amount, last_hour, average_of_day, paid_at
FROM history WHERE amount > 500 AND amount > 2 * average_of_day;

CREATE MATERIALIZED VIEW alerts_by_day AS
SELECT CAST(paid_at AS DATE) AS paid_on, COUNT(*) AS alerts FROM alerts GROUP BY CAST(paid_at AS DATE);
