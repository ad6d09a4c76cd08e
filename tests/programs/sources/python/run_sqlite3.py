import sqlite3

c = sqlite3.connect("d.db")
c.execute("create table t(a, b)")
c.executemany("insert into t values(?, ?)", [(i, str(i) * 3) for i in range(500)])
c.commit()
print(c.execute("select count(*), sum(a), max(b) from t").fetchall())
d = sqlite3.connect("d.db", timeout=0.1)
c.execute("begin exclusive")
try:
    d.execute("insert into t values(1,1)")
except sqlite3.OperationalError as e:
    print(e)
c.rollback()
c.execute("pragma journal_mode=wal")
c.execute("delete from t where a > 10")
c.commit()
print(d.execute("select count(*) from t").fetchone())
c.close()
d.close()
