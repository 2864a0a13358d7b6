SELECT p.id, p.name, make_timestamp(p.bucket * 10000000) AS window_start
FROM (SELECT DISTINCT id, name, epoch_us(date_time) // 10000000 AS bucket FROM person) p
JOIN (SELECT DISTINCT seller, epoch_us(date_time) // 10000000 AS bucket FROM auction) a
ON p.id = a.seller AND p.bucket = a.bucket
