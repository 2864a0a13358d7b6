WITH gaps AS (
    SELECT bidder, date_time, COALESCE(
        date_time - LAG(date_time) OVER (PARTITION BY bidder ORDER BY date_time) >= INTERVAL 10 SECONDS, true
    ) AS begins
    FROM bid
), sessions AS (
    SELECT *, SUM(begins::INT) OVER (
        PARTITION BY bidder ORDER BY date_time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS number
    FROM gaps
)
SELECT bidder, COUNT(*) AS bid_count, MIN(date_time) AS window_start, MAX(date_time) + INTERVAL 10 SECONDS AS window_end
FROM sessions GROUP BY bidder, number
