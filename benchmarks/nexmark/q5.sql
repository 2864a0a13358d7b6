-- Hot items: the auctions with most bids in windows of ten seconds that begin every two seconds.
WITH counted AS (
    SELECT auction, COUNT(*) AS num, window_start, window_end
    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL 2 SECONDS, INTERVAL 10 SECONDS))
    GROUP BY auction, window_start, window_end
), most AS (
    SELECT MAX(num) AS num, window_start FROM counted GROUP BY window_start
)
SELECT c.auction, c.num, c.window_start, c.window_end
FROM counted c JOIN most m ON c.window_start = m.window_start AND c.num = m.num
