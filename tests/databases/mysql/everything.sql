CREATE TABLE `jos_a.b c` (`id` int NOT NULL AUTO_INCREMENT, `q``u'o"te` varchar(20) DEFAULT 'it''s; \\', `#__c` int DEFAULT 7 COMMENT '#__not a prefix', `日本` text, PRIMARY KEY (`id`), KEY `jos_idx` (`#__c`)) ENGINE=InnoDB AUTO_INCREMENT=500 COMMENT='line\nbreak; ''x'''

CREATE TABLE `jos_dot.ted` (`a` int)

CREATE TABLE jos_no_key (a int, b varchar(10))

CREATE TABLE jos_hidden (id int PRIMARY KEY, secret int INVISIBLE DEFAULT 5, shown int, twice int AS (shown * 2) VIRTUAL, thrice int AS (shown * 3) PERSISTENT)

CREATE TABLE jos_only_generated (a int AS (1 + 1) VIRTUAL)

CREATE TABLE jos_first (id int PRIMARY KEY, other int, CONSTRAINT jos_fk_circle FOREIGN KEY (other) REFERENCES jos_first (id))

CREATE TABLE jos_a_child (id int PRIMARY KEY, up int, KEY up (up), CONSTRAINT `a b;c` FOREIGN KEY (up) REFERENCES jos_z_parent (id) ON DELETE SET NULL ON UPDATE CASCADE)

CREATE TABLE jos_z_parent (id int PRIMARY KEY, down int, KEY (down), FOREIGN KEY (down) REFERENCES jos_a_child (id), CHECK (id > 0), CONSTRAINT jos_named CHECK (down <> 99))

CREATE TABLE jos_parts (id int NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at)) (PARTITION old VALUES LESS THAN (2000), PARTITION `new one` VALUES LESS THAN MAXVALUE)

CREATE TABLE jos_hashed (id int) PARTITION BY HASH (id) PARTITIONS 3

CREATE TABLE jos_engine (id int, v varchar(10), KEY v (v) USING BTREE) ENGINE=MyISAM ROW_FORMAT=FIXED

CREATE TABLE jos_aria (id int PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=1

CREATE TABLE jos_memory (id int) ENGINE=MEMORY

CREATE TABLE jos_m1 (id int) ENGINE=MyISAM

CREATE TABLE jos_merged (id int) ENGINE=MRG_MYISAM UNION=(jos_m1) INSERT_METHOD=LAST

CREATE SEQUENCE jos_seq START WITH 5 INCREMENT BY 3 MAXVALUE 1000 CACHE 10 CYCLE

CREATE TABLE jos_numbered (id int DEFAULT nextval(jos_seq), v int)

CREATE TABLE jos_versioned (id int PRIMARY KEY, v int) WITH SYSTEM VERSIONING

CREATE TABLE jos_period (id int PRIMARY KEY, v int, `from` timestamp(6) GENERATED ALWAYS AS ROW START, `to` timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (`from`, `to`)) WITH SYSTEM VERSIONING

CREATE TABLE jos_charsets (id int PRIMARY KEY, l1 varchar(50) CHARACTER SET latin1, l2 varchar(50) CHARACTER SET latin2, w text CHARACTER SET utf16, u2 varchar(20) CHARACTER SET ucs2, s varchar(50) CHARACTER SET sjis, g varchar(50) CHARACTER SET gbk, b varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, k varchar(50) CHARACTER SET koi8r, e enum('ä','b') CHARACTER SET latin2, u varchar(50) CHARACTER SET utf8mb3)

CREATE TABLE jos_types (id int PRIMARY KEY, e enum('a','','b'), e2 enum('x'), s set('p','q','r s'), y year, f float, f2 float(7,2), d double, d2 double(9,3), z int(5) unsigned zerofill, b1 bit(1), b64 bit(64), bin binary(4), vb varbinary(8), geo point, poly geometry, j json, i6 inet6, u uuid, dt datetime(3), ts timestamp(6) NULL, t time(6), dc decimal(65,38), tb tinyblob, mt mediumtext)

INSERT INTO `jos_a.b c` (`q``u'o"te`, `#__c`, `日本`) VALUES ('a', 1, '#__x'), (NULL, NULL, '日本\r\n\0\Z''"\\')

INSERT INTO jos_no_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL)

INSERT INTO jos_hidden (id, secret, shown) VALUES (1, 2, 3), (2, NULL, NULL)

INSERT INTO jos_only_generated () VALUES (), ()

SET foreign_key_checks = 0

INSERT INTO jos_first VALUES (1, 2), (2, 1)

INSERT INTO jos_a_child VALUES (1, 10)

INSERT INTO jos_z_parent VALUES (10, 1)

INSERT INTO jos_parts VALUES (1, '1999-01-01'), (2, '2024-02-29')

INSERT INTO jos_hashed VALUES (1), (2), (3), (NULL)

INSERT INTO jos_engine VALUES (1, 'x')

INSERT INTO jos_aria VALUES (0), (1)

INSERT INTO jos_m1 VALUES (1), (2)

SELECT nextval(jos_seq)

INSERT INTO jos_numbered (v) VALUES (1), (2)

INSERT INTO jos_versioned VALUES (1, 1), (2, 2)

UPDATE jos_versioned SET v = 3

DELETE FROM jos_versioned WHERE id = 2

INSERT INTO jos_period (id, v) VALUES (1, 1)

UPDATE jos_period SET v = 2

INSERT INTO jos_charsets VALUES (1, 'Zürich €', 'žluťoučký', '🎉 w', 'u2 ü', _sjis 0x8790835C, _gbk 0xC4E3, 'A ', 'привет', 'ä', 'ü'), (2, 0x8190, '', '', '', '', '', '', '', 'b', ''), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'

INSERT INTO jos_types VALUES (0, '', 'x', 'p,q', 0, 0.1, 1.25, 1e-300, -1.5, 42, b'1', 0xFFFFFFFFFFFFFFFF, 0x00FF27, 0x5C00, POINT(1, -2), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 4326), '{"a": "\\u00fc"}', '::1', '123e4567-e89b-12d3-a456-426614174000', '2015-02-30 00:00:00', '2038-01-19 03:14:07.999999', '-838:59:59.999999', '-1.00000000000000000000000000000000000001', '', '')

INSERT IGNORE INTO jos_types (id, e, e2) VALUES (1, 'zz', 'zz'), (2, 0, 0)

INSERT INTO jos_types (id, dt, y, f, d) VALUES (3, '0000-00-00', 2155, 3.4028234663852886e38, 5e-324), (4, '2015-00-00', 1901, 1e-45, -1.7976931348623157e308)

CREATE FUNCTION jos_fn(x int) RETURNS int DETERMINISTIC RETURN x * 2

CREATE VIEW jos_z_view AS SELECT f.id, jos_fn(f.id) AS `jos_first`, '#__lit' AS lit, 'jos_first' AS text FROM jos_first f

CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW jos_a_view AS SELECT * FROM jos_z_view WITH CHECK OPTION

SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'

CREATE PROCEDURE "jos_pr`oc"(OUT n int) COMMENT 'c;omment' BEGIN -- it's; a comment
# jos_first ' 
 /* ; */ SELECT count(*) INTO n FROM "jos_first" WHERE 'a\' || "id" <> 'jos_first'; IF n THEN SET n = 1; END IF; END

SET sql_mode = DEFAULT

CREATE TRIGGER jos_trg1 BEFORE INSERT ON jos_no_key FOR EACH ROW SET NEW.a = NEW.a + 1

CREATE TRIGGER jos_trg2 BEFORE INSERT ON jos_no_key FOR EACH ROW PRECEDES jos_trg1 BEGIN SET NEW.b = 'jos_first;'; END

SET time_zone = '+03:00'

CREATE EVENT jos_event ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 12:00:00' ENDS '2037-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'e;' DO DELETE FROM jos_no_key WHERE a = 99

SET time_zone = '+00:00'
