-- Every bid with the day and the minute in which a log would keep it.
SELECT auction, bidder, price, date_time, extra,
    FORMAT_TIMESTAMP('%Y-%m-%d', date_time) AS log_day, FORMAT_TIMESTAMP('%H:%M', date_time) AS log_minute
FROM bid
