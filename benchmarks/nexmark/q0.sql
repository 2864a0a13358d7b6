-- Pass through: what the engine costs before any query.
SELECT auction, bidder, price, date_time, extra FROM bid
