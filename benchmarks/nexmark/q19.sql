-- The ten highest bids on every auction.
SELECT auction, bidder, price, channel, url, date_time, extra, place
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, date_time ASC) AS place FROM bid
) b
WHERE place <= 10
