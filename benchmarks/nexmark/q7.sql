-- The highest bids of every ten seconds.
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid b JOIN (
    SELECT MAX(price) AS price, window_start, window_end
    FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL 10 SECONDS))
    GROUP BY window_start, window_end
) m ON b.price = m.price
WHERE b.date_time >= m.window_start AND b.date_time < m.window_end
