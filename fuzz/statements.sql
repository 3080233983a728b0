SELECT count(a.user_id), sum(a.n) FROM posts a HAVING count(*) < 3
INSERT INTO posts (id, user_id, n) VALUES (1663, 3, 1)
DELETE FROM comments t USING comments a WHERE t.post_id = 4 AND a.post_id = 5 AND a.n IS NOT NULL
SELECT f.id, a.id, f.n FROM (SELECT posts.* FROM posts WHERE posts.id = 2) f FULL JOIN users a ON f.user_id = a.id WHERE f.user_id = 1 AND a.id = 1 AND f.user_id = a.id
DELETE FROM comments t WHERE t.post_id = 7 RETURNING t.n
SELECT max(a.group_id), max(a.group_id) FROM users a WHERE (a.group_id = a.n AND a.group_id = a.group_id)
SELECT DISTINCT coalesce(b.n, 7), 4::bigint FROM posts e LEFT JOIN users b ON e.user_id = b.id WHERE e.user_id = 2 AND b.id = 2
SELECT CASE WHEN a.n IS NOT NULL THEN f.post_id END, a.user_id, a.id FROM posts b RIGHT JOIN comments f ON f.post_id = b.id JOIN posts a ON f.post_id = b.id WHERE f.post_id = 1 AND a.user_id = 4 AND a.user_id = b.user_id
SELECT b.id, e.n, 3::bigint FROM users e JOIN likes f ON f.user_id = e.id FULL JOIN posts b ON f.post_id = b.id WHERE 2 = e.id AND b.user_id = 2 AND b.n = ANY (ARRAY[2])
SELECT * FROM likes e WHERE e.user_id = 1
SELECT f.n, f.n FROM (SELECT sum(f.n), count(f.post_id) FROM likes f WHERE f.user_id = 3 AND EXISTS (SELECT 0::bigint FROM groups f JOIN likes a ON f.id IN (3, 2)) HAVING count(*) < 0) e (y0, y1) LEFT JOIN comments f ON f.n = f.id WHERE f.post_id = 0
INSERT INTO comments (id, post_id, n) VALUES (1143, 2, 1) RETURNING *
SELECT DISTINCT b.y1, b.y0 FROM (SELECT f.id, CASE WHEN f.n = ANY (ARRAY[3]) THEN f.n END FROM groups f WHERE f.id = 1) b (y0, y1) WHERE b.y1 IN (3, 8)
INSERT INTO posts (id, user_id, n) SELECT a.id + 1746, a.user_id, a.n FROM posts a WHERE a.user_id = 3 ON CONFLICT DO NOTHING
DELETE FROM likes t WHERE t.user_id = 3 RETURNING t.n
DELETE FROM comments t WHERE t.post_id = NULL
SELECT CASE WHEN f.post_id IS NOT NULL THEN a.id END, f.id, e.id FROM LATERAL (SELECT comments.* FROM comments WHERE comments.id = 6) e JOIN posts a ON e.post_id = a.id JOIN comments f ON e.post_id = a.id WHERE a.user_id = 1
SELECT coalesce(a.group_id, 7) FROM users a, (SELECT likes.* FROM likes WHERE likes.user_id = 3) f LEFT JOIN users e ON f.user_id = a.id WHERE e.id = 3 UNION SELECT count(e.user_id) FROM (SELECT posts.* FROM posts WHERE posts.id = 7) e
DELETE FROM likes t WHERE 4 = t.user_id AND t.post_id = 9 RETURNING t.n
SELECT coalesce(e.id, 7) FROM users e WHERE e.id = 3
UPDATE comments t SET n = t.id + 1 FROM comments f WHERE t.post_id = 2 AND f.post_id = 2 AND f.post_id IN (SELECT 3::bigint FROM comments f WHERE f.post_id = 2) AND (f.post_id, f.post_id) = (1, 2)
DELETE FROM comments t WHERE t.post_id = 2 RETURNING t.n
SELECT f.user_id, 4::bigint, f.user_id FROM (SELECT likes.* FROM likes WHERE likes.post_id = 0) f WHERE f.user_id = 4
SELECT 0::bigint FROM posts e WHERE e.user_id = 1
WITH c (x0) AS MATERIALIZED (SELECT a.user_id FROM posts a WHERE a.user_id = 4 AND a.user_id = ANY (ARRAY[3])) SELECT sum(b.x0), sum(b.x0) FROM c b
UPDATE comments t SET n = t.n WHERE t.post_id = 9 AND t.id IN (4, 4)
INSERT INTO likes (user_id, post_id, n) VALUES (1, 1033, 1), (1, 6033, 2) RETURNING *
SELECT a.id, a.post_id FROM comments a JOIN comments b ON NOT (a.id = 9) RIGHT JOIN posts e USING (n) WHERE 4 = a.post_id AND b.post_id = 5 AND e.user_id = 2
SELECT e.id FROM comments e WHERE e.post_id = 6 AND e.post_id = ANY (ARRAY[3])
SELECT * FROM likes e RIGHT JOIN posts a USING (n) WHERE e.user_id = 2 AND a.user_id = 5
INSERT INTO likes (user_id, post_id, n) VALUES (4, 1531, 1), (4, 6531, 2)
UPDATE likes t SET n = t.user_id + 1 FROM groups f WHERE t.user_id = 2
DELETE FROM comments t WHERE t.post_id = 0 AND (t.id = 2 OR (t.post_id = 9 AND t.id = t.id)) RETURNING t.n
UPDATE posts t SET n = t.id + 1 FROM groups b JOIN comments e ON (e.n = 1 OR e.post_id IN (3, 7)) JOIN users f ON b.n IN (4, 5) WHERE t.user_id = 4 AND b.id = 2 AND b.id = 1
SELECT f.user_id, CASE WHEN a.id IS NOT NULL THEN f.n END, a.post_id FROM likes f RIGHT JOIN comments a ON f.post_id IS NULL WHERE f.user_id = 2 AND a.n = 3
WITH c (x0, x1, x2) AS (UPDATE comments SET n = 5 WHERE comments.id = 13 RETURNING n, n, n) SELECT f.id FROM comments f WHERE f.post_id = NULL
UPDATE comments t SET n = 2::bigint WHERE NOT ((t.n = 3 AND t.n IS NULL))
INSERT INTO likes (user_id, post_id, n) VALUES (3, 1182, 1), (3, 6182, 2) RETURNING *
SELECT DISTINCT a.user_id, (SELECT count(*) FROM (SELECT e.id FROM comments e WHERE e.post_id = 0 AND a.user_id = 4) z), e.user_id FROM posts e LEFT JOIN likes a ON (e.id = 8 AND e.user_id IN (4, 1)) WHERE e.user_id = 4 AND a.user_id = 4 AND a.post_id = e.id
DELETE FROM comments t USING LATERAL (SELECT likes.* FROM likes WHERE likes.user_id = 4) f, users e RIGHT JOIN LATERAL (SELECT users.* FROM users WHERE users.id = 4) b ON f.post_id IN (4, 6) WHERE t.post_id = 8 AND e.id = 4 AND b.id = 2 RETURNING t.n
UPDATE likes t SET n = (SELECT count(*) FROM (SELECT coalesce(b.id, 7) FROM posts b WHERE b.user_id = 1 OR b.user_id IS NOT NULL) z) WHERE t.post_id = 3 RETURNING t.*
SELECT DISTINCT f.post_id FROM comments f WHERE f.post_id = 2
UPDATE likes t SET n = t.post_id WHERE t.user_id < t.post_id RETURNING t.*
INSERT INTO comments (id, post_id, n) VALUES (1025, 6, 1) ON CONFLICT DO NOTHING
DELETE FROM comments t WHERE t.post_id = 3 AND ((t.post_id, t.n) = (2, 3) AND (t.n, t.n) = (2, 2))
SELECT * FROM posts f, likes a, users b WHERE a.user_id = f.user_id AND f.n = 2
SELECT DISTINCT e.n, 2::bigint, CASE WHEN e.user_id = 1 THEN e.id END FROM posts e WHERE (e.n = e.n OR e.user_id < e.n)
UPDATE users t SET n = 1::bigint WHERE 4 = t.id
UPDATE posts t SET n = (SELECT count(*) FROM (SELECT coalesce(e.user_id, 7) FROM likes e WHERE e.user_id = 3) z) WHERE t.user_id IS NULL
SELECT 0::bigint, (SELECT count(*) FROM (SELECT CASE WHEN b.post_id = NULL THEN b.user_id END FROM likes b) z), a.user_id FROM posts a FULL JOIN (SELECT posts.* FROM posts WHERE posts.user_id = 2) f ON f.user_id = a.user_id WHERE a.user_id = 2
SELECT * FROM groups f RIGHT JOIN users e ON f.id IN (1, 2) WHERE f.id = 3 AND e.id = 4 AND (f.n, f.n) = (4, 2) AND NOT (e.id IN (4, 3))
UPDATE comments t SET n = CASE WHEN t.n = 2 THEN t.id END WHERE t.n IN (1, 3)
SELECT f.post_id, CASE WHEN f.user_id IS NULL THEN f.n END, f.user_id FROM likes f WHERE (f.n IN (1, 0) OR f.user_id = 1)
INSERT INTO comments (id, post_id, n) VALUES (1554, 3, 1) RETURNING n
SELECT a.id, a.post_id FROM users b, comments a WHERE b.id = 1 AND a.post_id = 2
SELECT CASE WHEN a.id = 2 THEN a.n END FROM (SELECT users.* FROM users WHERE users.id = 2) a WHERE a.id = a.n
SELECT f.n FROM groups f WHERE f.id = 1
SELECT * FROM (SELECT a.n FROM posts a LEFT JOIN users f ON a.user_id = f.id WHERE a.n IN (4, 6)) e (y0) WHERE e.y0 < e.y0
INSERT INTO posts (id, user_id, n) VALUES (1400, 2, 1) RETURNING n
SELECT coalesce(a.group_id, 7), e.id FROM users e FULL JOIN users a ON e.n = NULL WHERE e.id = 2 AND a.id = 2 AND a.group_id IN (2, 1)
SELECT e.id FROM posts e WHERE e.user_id = 3 INTERSECT SELECT f.n FROM comments b JOIN groups f USING (n) WHERE f.id = 3 AND f.id = f.n
SELECT a.n FROM likes a, posts e WHERE a.user_id = 3 AND e.user_id = 3 AND a.user_id = e.user_id
DELETE FROM likes t WHERE t.user_id = 3 AND t.post_id = 6
SELECT max(f.n), sum(f.id), count(f.group_id) FROM users f WHERE f.id = 3 HAVING count(*) < 2
SELECT * FROM comments e, likes b WHERE e.post_id = 9 AND (NOT (e.id = ANY (ARRAY[5])) AND (b.user_id IS NOT NULL AND b.user_id NOT IN (SELECT b.n FROM users b WHERE b.group_id = ANY (ARRAY[4]))))
DELETE FROM comments t USING users e LEFT JOIN posts b ON b.user_id = e.id WHERE e.id = 3 AND b.user_id = 3 AND b.user_id = e.id
UPDATE comments t SET n = t.post_id WHERE t.post_id = 6
SELECT DISTINCT b.user_id FROM likes b WHERE b.user_id = 3
SELECT coalesce(e.n, 7), f.n FROM users f JOIN users e ON f.id = e.id WHERE e.id = 2 OR EXISTS (SELECT a.user_id FROM comments f, likes a RIGHT JOIN users e ON a.user_id = e.id WHERE f.post_id = 4 OR e.id = 2 OR a.user_id = e.id OR f.n = ANY (ARRAY[2]))
UPDATE likes t SET n = t.post_id WHERE NOT EXISTS (SELECT b.n FROM users a JOIN users b ON (a.group_id, a.n) = (4, 1) WHERE b.id = 4 AND NOT (a.group_id = 0))
SELECT f.id, f.id FROM users a, posts f WHERE f.user_id = 4
SELECT b.id, CASE WHEN e.y0 = 3 THEN b.id END, e.y0 FROM groups b FULL JOIN (SELECT count(a.user_id) FROM likes a WHERE a.user_id = 4 HAVING count(*) < 0) e (y0) ON b.id <> e.y0
WITH posts (x0, x1) AS (SELECT 0::bigint, f.id FROM users f WHERE f.id = 4) SELECT 3::bigint FROM (SELECT posts.* FROM posts WHERE posts.id = 9) b JOIN likes a ON b.user_id = a.user_id WHERE a.user_id = 4 AND b.user_id = a.user_id
INSERT INTO likes (user_id, post_id, n) SELECT 3, 1122, max(q.q0) FROM (SELECT a.user_id FROM LATERAL (SELECT likes.* FROM likes WHERE likes.user_id = 3) a WHERE a.user_id = 3) q (q0)
SELECT a.n FROM likes f RIGHT JOIN comments a USING (n) UNION ALL SELECT e.n FROM comments e LEFT JOIN comments f ON EXISTS (SELECT sum(e.n) FROM posts e WHERE e.user_id = 2) WHERE f.post_id < f.post_id
WITH c (x0) AS (SELECT b.user_id FROM posts b WHERE b.user_id = 2) SELECT * FROM groups f FULL JOIN c e ON f.id = f.n, groups a WHERE a.id = 2 AND (e.x0 = 1 OR a.id = 2)
SELECT e.y0, coalesce(e.y0, 7) FROM (SELECT 4::bigint FROM posts f WHERE f.user_id = 3) e (y0) WHERE e.y0 = e.y0
DELETE FROM comments t USING likes e WHERE 0 = t.post_id AND (t.post_id = 2 OR e.user_id = 2)
DELETE FROM likes t WHERE t.user_id = 4
UPDATE comments t SET n = t.id + 1 FROM posts a RIGHT JOIN posts e ON e.user_id = 2 WHERE t.post_id = 5 AND e.user_id = a.user_id
SELECT coalesce(e.id, 7) FROM users e WHERE e.n IN (1, 1) UNION SELECT CASE WHEN b.user_id = 1 THEN b.n END FROM likes b FULL JOIN likes a ON b.user_id = a.user_id WHERE 1 = a.user_id
SELECT b.group_id FROM users b, likes a WHERE b.id = 3 AND a.user_id = 3 AND a.user_id = b.id UNION SELECT a.group_id FROM users a WHERE a.group_id IN (3, 8)
SELECT DISTINCT 2::bigint FROM (SELECT DISTINCT e.n, coalesce(e.n, 7) FROM users a LEFT JOIN groups e ON e.id IN (3, 0) JOIN posts b ON b.user_id = a.id WHERE a.id = 3 AND e.id = 2 AND b.user_id = 3 AND b.user_id = a.id) b (y0, y1) WHERE b.y1 IS NULL
SELECT b.n FROM posts b JOIN posts f ON f.user_id = b.user_id JOIN users e ON e.id NOT IN (SELECT f.n FROM users b FULL JOIN posts f ON f.user_id = b.id WHERE b.id = 3 AND f.user_id = b.id AND b.n = ANY (ARRAY[3]))
UPDATE users t SET n = t.id + 1 FROM likes e, (SELECT 0::bigint FROM groups b WHERE b.id = 2 AND b.id IS NOT NULL) b (y0) WHERE e.user_id = 4
SELECT b.id FROM users b JOIN posts a ON a.user_id = b.id WHERE a.user_id = 3 INTERSECT SELECT b.id FROM likes e JOIN users b ON e.user_id = b.id WHERE b.group_id = b.n
UPDATE posts t SET n = t.id WHERE 4 = t.user_id RETURNING t.*
WITH posts (x0) AS (UPDATE posts SET n = 5 WHERE posts.id = 4 RETURNING n) SELECT b.x0, b.x0, coalesce(b.x0, 7) FROM posts b
DELETE FROM likes t WHERE 4 = t.user_id RETURNING t.n
INSERT INTO posts (id, user_id, n) SELECT a.id + 1825, a.user_id, a.n FROM posts a WHERE a.user_id = 1 RETURNING *
SELECT max(e.n), count(b.post_id), count(e.n) FROM comments e FULL JOIN comments b ON b.id = ANY (ARRAY[1]) WHERE e.post_id = 3 OR b.post_id = 9 OR e.n IS NOT NULL OR b.n = ANY (ARRAY[4])
SELECT b.n FROM LATERAL (SELECT posts.* FROM posts WHERE posts.id = 3) b JOIN LATERAL (SELECT comments.* FROM comments WHERE comments.post_id = 0) f ON (b.n = b.user_id AND f.n = 0) WHERE b.user_id = 1 AND f.post_id = 1 AND b.user_id IN (1, 5)
UPDATE posts t SET n = t.id WHERE t.user_id = 4
DELETE FROM likes t WHERE t.user_id = 4 AND t.user_id = ANY (ARRAY[4])
UPDATE likes t SET n = coalesce(t.user_id, 7) WHERE (t.user_id, t.n) = (1, 3)
SELECT CASE WHEN e.post_id IS NOT NULL THEN e.n END, e.n FROM likes a JOIN comments e USING (n) WHERE a.user_id = 1 AND e.post_id = 2 AND NOT (e.id = 7)
INSERT INTO likes (user_id, post_id, n) VALUES (2, 1757, 1), (2, 6757, 2) ON CONFLICT DO NOTHING
UPDATE posts t SET n = t.id + 1 FROM (SELECT users.* FROM users WHERE users.id = 1) a WHERE t.user_id = 1 AND a.id = 0 AND a.n = a.group_id AND a.n IN (SELECT 1::bigint FROM comments a WHERE a.post_id = 2)
DELETE FROM likes t WHERE t.user_id = 3 RETURNING t.n
UPDATE users t SET n = t.id + 1 FROM posts f JOIN comments b ON b.post_id = f.id FULL JOIN groups e ON b.post_id = f.id WHERE t.id = 5 AND b.post_id = 1 AND e.id = 0 AND (e.id = ANY (ARRAY[1]) OR t.id IN (1, 7))
SELECT CASE WHEN b.n = b.group_id THEN e.n END, b.id, (SELECT count(*) FROM (SELECT DISTINCT 3::bigint FROM comments f WHERE f.post_id = 5) z) FROM users b RIGHT JOIN comments e ON b.n = 1 WHERE b.id = 2 OR e.post_id = 4
SELECT e.y0 FROM comments f LEFT JOIN (SELECT b.id FROM comments b WHERE b.post_id = NULL AND b.n = ANY (ARRAY[4])) e (y0) ON (e.y0 = e.y0 OR e.y0 IS NOT DISTINCT FROM f.post_id) LEFT JOIN groups b ON e.y0 IN (4, 5) WHERE e.y0 IS NULL
INSERT INTO posts (id, user_id, n) VALUES (1533, 3, 1) ON CONFLICT DO NOTHING
INSERT INTO posts (id, user_id, n) VALUES (1696, 3, 1) RETURNING n
SELECT f.user_id, coalesce(f.user_id, 7) FROM likes f WHERE f.user_id = 2
SELECT f.post_id, coalesce(f.post_id, 7) FROM likes f LEFT JOIN (SELECT 1::bigint, 3::bigint FROM comments e) e (y0, y1) ON NOT (e.y0 <> f.n) FULL JOIN groups b ON (e.y0 = ANY (ARRAY[3]) OR e.y0 IS NOT NULL) WHERE b.id = 0
SELECT * FROM LATERAL (SELECT users.* FROM users WHERE users.id = 5) e WHERE e.n < e.n
SELECT max(e.id), count(e.group_id), sum(e.n) FROM users e WHERE e.id = e.id HAVING count(*) < 4
SELECT e.n, f.id FROM groups e JOIN users a ON e.n = NULL RIGHT JOIN users f ON a.group_id = ANY (ARRAY[2]) WHERE e.id = 0 AND a.id = 2 AND f.id = 2 AND NOT (a.n IN (2, 3))
SELECT 1::bigint, coalesce(f.id, 7), f.n FROM groups f
SELECT 3::bigint FROM users f JOIN likes e ON e.user_id = f.id WHERE f.id = 4 AND e.user_id = f.id
SELECT coalesce(a.user_id, 7), e.user_id FROM likes a RIGHT JOIN posts e ON a.n IS NULL WHERE a.user_id = 3 AND e.user_id = a.user_id AND NOT ((e.id, a.n) = (3, 0))
SELECT CASE WHEN e.id IS NOT NULL THEN e.n END FROM comments e WHERE 1 = e.post_id
DELETE FROM comments t WHERE t.post_id = 4 RETURNING t.n
UPDATE users t SET n = t.id + 1 FROM comments b, likes e JOIN (SELECT comments.* FROM comments WHERE comments.id = 4) a ON a.id = 0 WHERE b.post_id = 3 AND e.user_id = t.id RETURNING t.*
WITH RECURSIVE c (id) AS (SELECT id FROM posts p WHERE p.user_id = 3 UNION SELECT k.id FROM c r JOIN comments k ON k.post_id = r.id) SELECT CASE WHEN e.id = NULL THEN e.id END FROM c a, c e JOIN c b ON e.id = ANY (ARRAY[3]) WHERE b.id = 1 AND a.id = b.id
INSERT INTO posts (id, user_id, n) SELECT a.id + 1068, a.user_id, a.n FROM posts a WHERE a.user_id = 4
SELECT count(f.id), count(f.n), max(f.id) FROM comments f WHERE f.post_id = 5
DELETE FROM comments t WHERE t.post_id = 9 RETURNING t.n
DELETE FROM likes t USING (SELECT likes.* FROM likes WHERE likes.user_id = 1) f WHERE t.user_id = 1
