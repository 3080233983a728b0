-- What must become of each reader, by the place they typed; run at the origin before the move, by
-- both engines. The list is its own and shares nothing with domicile's.
--
-- The last segment that is not empty once blanks and quotes are cut off decides.

WITH typed AS (
    SELECT id,
           lower(coalesce(nullif(trim(country, ' "'), ''),
                          nullif(trim(state, ' "'), ''),
                          trim(city, ' "'))) AS place
    FROM users
)
SELECT id,
       CASE
           WHEN place = 'usa' THEN 'stays'
           WHEN place IN (
               'austria', 'belgium', 'bulgaria', 'croatia', 'cyprus', 'czech republic', 'denmark',
               'estonia', 'finland', 'france', 'germany', 'greece', 'hungary', 'iceland',
               'ireland', 'italy', 'latvia', 'liechtenstein', 'lithuania', 'luxembourg', 'malta',
               'netherlands', 'norway', 'poland', 'portugal', 'romania', 'slovakia', 'slovenia',
               'spain', 'sweden', 'switzerland', 'united kingdom',
               'england', 'scotland', 'wales', 'northern ireland', 'great britain', 'uk',
               'the netherlands', 'holland', 'czechia', 'españa', 'deutschland', 'italia',
               'moldova', 'russia', 'turkey', 'ukraine', 'albania', 'andorra', 'belarus',
               'serbia', 'monaco', 'san marino'
           ) THEN 'moves'
           ELSE 'whatever'
       END AS fate
FROM typed
ORDER BY id;
