SELECT auction, bidder, price, date_time, extra,
    strftime(date_time, '%Y-%m-%d') AS log_day, strftime(date_time, '%H:%M') AS log_minute
FROM bid
