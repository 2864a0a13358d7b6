SELECT seller,
    SUM(final) OVER last_ones // COUNT(final) OVER last_ones AS average
FROM (
    SELECT a.id, a.seller, MAX(b.price) AS final
    FROM auction a JOIN bid b ON a.id = b.auction
    WHERE b.date_time BETWEEN a.date_time AND a.expires
    GROUP BY a.id, a.seller
) w
WINDOW last_ones AS (PARTITION BY seller ORDER BY id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW)
