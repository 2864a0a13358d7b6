SELECT bidder, COUNT(*) AS bid_count, make_timestamp(bucket * 10000000) AS window_start,
    make_timestamp(bucket * 10000000 + 10000000) AS window_end
FROM (SELECT bidder, epoch_us(date_time) // 10000000 AS bucket FROM bid) b
GROUP BY bidder, bucket
