-- An id for every channel, of its name or from the URL.
SELECT auction, bidder, price, channel,
    CASE WHEN LOWER(channel) = 'apple' THEN '0' WHEN LOWER(channel) = 'google' THEN '1'
        WHEN LOWER(channel) = 'facebook' THEN '2' WHEN LOWER(channel) = 'baidu' THEN '3'
        ELSE SPLIT_PART(url, 'channel_id=', 2) END AS channel_id
FROM bid
WHERE LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu') OR url LIKE '%channel_id=%'
