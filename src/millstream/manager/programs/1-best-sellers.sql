-- Best sellers of a shop (best-sellers)
--
-- Orders keep coming in, and now and then a product changes its price. Every view stays up to date with both: revenue
-- of each category, and the three products of each category that earn most. Pause the connector of `orders` and see
-- the numbers stand still.
--

CREATE TABLE products (
    id BIGINT NOT NULL PRIMARY KEY,
    category VARCHAR NOT NULL,
    price BIGINT NOT NULL
) WITH (
    'materialized' = 'true',
    'connectors' = '[{
        "name": "catalogue",
        "labels": ["catalogue"],
        "transport": {"name": "datagen", "config": {"plan": [{
            "limit": 200,
            "fields": {
                "id": {"range": [0, 200]},
                "category": {"values": ["books", "garden", "kitchen", "music", "toys"]},
                "price": {"strategy": "uniform", "range": [100, 9000]}
            }
        }]}}
    }]'
);

CREATE TABLE orders (
    id BIGINT NOT NULL PRIMARY KEY,
    product BIGINT NOT NULL,
    quantity BIGINT NOT NULL
) WITH (
    'connectors' = '[{
        "name": "shop",
        "start_after": "catalogue",
        "transport": {"name": "datagen", "config": {"plan": [{
            "rate": 500,
            "limit": 100000,
            "fields": {
                "product": {"strategy": "zipf", "range": [0, 200]},
                "quantity": {"strategy": "uniform", "range": [1, 5]}
            }
        }]}}
    }]'
);

CREATE LOCAL VIEW sales AS
SELECT p.category, p.id AS product, SUM(o.quantity * p.price) AS revenue, COUNT(*) AS orders
FROM orders o JOIN products p ON o.product = p.id
GROUP BY p.category, p.id;

CREATE MATERIALIZED VIEW revenue_by_category AS
SELECT category, SUM(revenue) AS revenue, SUM(orders) AS orders FROM sales GROUP BY category;

CREATE MATERIALIZED VIEW best_sellers AS
SELECT category, place, product, revenue FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY category ORDER BY revenue DESC, product) AS place FROM sales
) ranked WHERE place <= 3;
