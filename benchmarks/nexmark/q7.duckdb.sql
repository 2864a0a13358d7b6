SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid b JOIN (
    SELECT MAX(price) AS price, epoch_us(date_time) // 10000000 AS bucket FROM bid GROUP BY bucket
) m ON b.price = m.price AND epoch_us(b.date_time) // 10000000 = m.bucket
