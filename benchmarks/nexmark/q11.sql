-- Bids of every bidder in sessions that end after ten seconds without one.
SELECT bidder, COUNT(*) AS bid_count, window_start, window_end
FROM TABLE(SESSION(TABLE bid, DESCRIPTOR(date_time), DESCRIPTOR(bidder), INTERVAL 10 SECONDS))
GROUP BY bidder, window_start, window_end
