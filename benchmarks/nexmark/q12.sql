-- Bids of every bidder in ten seconds (of event time: a processing-time window has no answer to check).
SELECT bidder, COUNT(*) AS bid_count, window_start, window_end
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL 10 SECONDS))
GROUP BY bidder, window_start, window_end
