# needs: sqlite3
sqlite3 db 'create table t(a integer primary key, b text); begin; with recursive c(x) as (select 1 union all select x+1 from c where x<500) insert into t select x, hex(x) from c; commit; select count(*), max(b) from t; pragma journal_mode=wal; delete from t where a%2; vacuum; select sum(a) from t; pragma integrity_check'
