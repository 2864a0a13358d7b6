WITH hopped AS (
    SELECT auction, make_timestamp(epoch_us(date_time) // 2000000 * 2000000 - i * 2000000) AS window_start
    FROM bid, range(5) r(i)
), counted AS (
    SELECT auction, COUNT(*) AS num, window_start, window_start + INTERVAL 10 SECONDS AS window_end
    FROM hopped GROUP BY auction, window_start
), most AS (
    SELECT MAX(num) AS num, window_start FROM counted GROUP BY window_start
)
SELECT c.auction, c.num, c.window_start, c.window_end
FROM counted c JOIN most m ON c.window_start = m.window_start AND c.num = m.num
