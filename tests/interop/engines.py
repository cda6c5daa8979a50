"""Reads converted data with the engines that people use, and compares them with promproof.

    python tests/interop/engines.py target/release/promproof fixtures/servers/backfill-6d/snapshot ...

Each source is converted in both layouts and, once, into days. Every engine counts the samples and adds up the values of each
metric, joined with the table of series, and one counts what the counters of the last day of the data gained. promproof
says the same from the source itself: counts and sums of integers have to be equal, other sums within 1e-9.

An engine that is not installed is skipped, visibly; `--require NAME` makes it an error.
"""

import argparse
import csv
import io
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict

ENGINES = {}


def engine(name):
    def register(run):
        ENGINES[name] = run
        return run

    return register


def promproof(binary, *args):
    done = subprocess.run([binary, *args], capture_output=True, text=True)
    if done.returncode not in (0, 1, 3):
        sys.exit(f"promproof {' '.join(args)}: {done.stderr}")
    return done.stdout


def metric_of(series):
    """The metric name in promproof's notation of a series."""
    return series.split("{")[0]


def expected(binary, source):
    """Per metric: samples, stale markers among them, and the exact sum of the finite values."""
    text = promproof(binary, "dump", source, "--match", '{__name__=~".+"}', "--format", "csv", "-q")
    count, stale, values = defaultdict(int), defaultdict(int), defaultdict(list)
    for row in csv.DictReader(io.StringIO(text)):
        if row["histogram"]:
            continue
        metric = metric_of(row["series"])
        count[metric] += 1
        if row["stale"] == "true":
            stale[metric] += 1
            continue
        value = float(row["value"].replace("Inf", "inf"))
        if math.isfinite(value):
            values[metric].append(value)
    return {m: (count[m], stale[m], math.fsum(values[m])) for m in count}


def gained(binary, source):
    """What the request counters gained in the last day, as promproof counts it, and the day."""
    text = promproof(binary, "availability", source, "--hours", "24", "--format", "json")
    answer = json.loads(text)
    if answer["counted"]["births"]:
        return None
    window = answer["time_window"]
    return answer["counted"]["total_requests"], window


QUERY = """
SELECT n.metric_name, count(*) AS samples, sum(CASE WHEN s.stale THEN 1 ELSE 0 END) AS stale,
       sum(CASE WHEN abs(coalesce(s.value, s.value_int / s.div)) <= 1.7976931348623157e308
                THEN coalesce(s.value, s.value_int / s.div) ELSE 0 END) AS total
FROM {samples} s JOIN {series} n ON s.series_id = n.series_id
GROUP BY n.metric_name
"""

# A counter gains the difference to the sample before, or its value where it fell.
GAINED = """
SELECT sum(CASE WHEN v >= before THEN v - before ELSE v END) FROM (
  SELECT s.series_id, {ms} AS t, coalesce(s.value, s.value_int / s.div) AS v,
         lag(coalesce(s.value, s.value_int / s.div)) OVER (PARTITION BY s.series_id ORDER BY s.ts) AS before
  FROM {samples} s JOIN {series} n ON s.series_id = n.series_id
  WHERE n.metric_name = 'recommend_requests_total' AND NOT s.stale
) AS steps WHERE t > {start} AND t <= {end}
"""


@engine("duckdb")
def duckdb_(dataset, window):
    import duckdb

    db = duckdb.connect()
    # The view file is what people are told to use.
    here = os.getcwd()
    os.chdir(dataset)
    try:
        db.execute(open("views.sql").read())
        rows = db.execute(
            "SELECT metric_name, count(*), count(*) FILTER (WHERE stale), "
            "coalesce(sum(value) FILTER (WHERE isfinite(value)), 0) FROM samples_named GROUP BY metric_name"
        ).fetchall()
        steps = None
        if window:
            query = GAINED.format(samples="samples", series="series", ms="epoch_ms(s.ts)", **window)
            steps = db.execute(query).fetchone()[0]
        db.execute("SELECT count(*) FROM histograms").fetchone()
    finally:
        os.chdir(here)
    return rows, steps


@engine("polars")
def polars_(dataset, window):
    import polars as pl

    hive = {"hive_partitioning": True} if has_days(dataset) else {}
    samples = pl.scan_parquet(f"{dataset}/samples/**/*.parquet", **hive)
    series = pl.scan_parquet(f"{dataset}/series/*.parquet")
    value = pl.coalesce(pl.col("value"), pl.col("value_int") / pl.col("div")).alias("v")
    named = samples.with_columns(value).join(series.select("series_id", "metric_name"), on="series_id")
    rows = (
        named.group_by("metric_name")
        .agg(pl.len(), pl.col("stale").sum(), pl.col("v").filter(pl.col("v").is_finite()).sum())
        .collect()
        .rows()
    )
    steps = None
    if window:
        counters = named.filter((pl.col("metric_name") == "recommend_requests_total") & ~pl.col("stale"))
        before = pl.col("v").shift(1).over("series_id", order_by="ts")
        gain = pl.when(pl.col("v") >= before).then(pl.col("v") - before).otherwise(pl.col("v"))
        t = pl.col("ts").dt.epoch("ms")
        inside = (t > window["start"]) & (t <= window["end"])
        steps = counters.with_columns(gain=gain).filter(inside).select(pl.col("gain").sum()).collect().item()
    return rows, steps


@engine("pyarrow")
def pyarrow_(dataset, window):
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    partitioning = "hive" if has_days(dataset) else None
    samples = ds.dataset(f"{dataset}/samples", format="parquet", partitioning=partitioning).to_table()
    series = ds.dataset(f"{dataset}/series", format="parquet").to_table(["series_id", "metric_name"])
    value = pc.coalesce(samples["value"], pc.divide(samples["value_int"].cast("float64"), samples["div"]))
    finite = pc.fill_null(pc.is_finite(value), False)
    named = samples.select(["series_id", "stale"]).append_column("v", pc.if_else(finite, value, 0.0))
    named = named.append_column("one", pc.if_else(named["stale"], 1, 0)).join(series, "series_id")
    groups = named.group_by("metric_name").aggregate([("v", "count"), ("one", "sum"), ("v", "sum")])
    return list(zip(*(groups[c].to_pylist() for c in ["metric_name", "v_count", "one_sum", "v_sum"]))), None


@engine("datafusion")
def datafusion_(dataset, window):
    import datafusion

    session = datafusion.SessionContext()
    if has_days(dataset):
        return None, None
    session.register_parquet("samples", f"{dataset}/samples/")
    session.register_parquet("series", f"{dataset}/series/")
    table = session.sql(QUERY.format(samples="samples", series="series")).to_pydict()
    rows = list(zip(table["metric_name"], table["samples"], table["stale"], table["total"]))
    steps = None
    if window:
        query = GAINED.format(
            samples="samples", series="series", ms="CAST(arrow_cast(s.ts, 'Int64') AS BIGINT)", **window
        )
        steps = list(session.sql(query).to_pydict().values())[0][0]
    return rows, steps


@engine("pyspark")
def pyspark_(dataset, window):
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    spark.read.parquet(f"{dataset}/samples").createOrReplaceTempView("samples")
    spark.read.parquet(f"{dataset}/series").createOrReplaceTempView("series")
    query = QUERY.format(samples="samples", series="series")
    rows = [tuple(row) for row in spark.sql(query).collect()]
    steps = None
    if window:
        query = GAINED.format(samples="samples", series="series", ms="unix_millis(s.ts)", **window)
        steps = spark.sql(query).collect()[0][0]
    return rows, steps


def has_days(dataset):
    return any(name.startswith("date=") for name in os.listdir(f"{dataset}/samples"))


def milliseconds(window):
    from datetime import datetime, timezone

    def ms(text):
        return round(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp() * 1000)

    return {"start": ms(window["start"]), "end": ms(window["end"])}


def same(want, got):
    if float(want).is_integer() and abs(want) < 2**53:
        return want == got
    return math.isclose(want, got, rel_tol=1e-9)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("promproof")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--require", action="append", default=[], metavar="NAME")
    args = parser.parse_args()
    failed, compared = 0, 0
    for source in args.sources:
        want = expected(args.promproof, source)
        counted = gained(args.promproof, source)
        window = milliseconds(counted[1]) if counted else None
        for options in ["simple"], ["compact"], ["compact", "--partition", "day"]:
            with tempfile.TemporaryDirectory() as scratch:
                dataset = f"{scratch}/dataset"
                promproof(args.promproof, "convert", source, "-o", dataset, "-q", "--layout", *options)
                for name, run in ENGINES.items():
                    try:
                        rows, steps = run(dataset, window)
                    except ModuleNotFoundError as missing:
                        print(f"skipped: {name} ({missing.name} is not installed)")
                        failed += name in args.require
                        continue
                    if rows is None:
                        continue
                    got = {metric or "": tuple(rest) for metric, *rest in rows}
                    wrong = sorted(set(want) ^ set(got))
                    for metric in set(want) & set(got):
                        w, g = want[metric], got[metric]
                        if w[:2] != g[:2] or not same(w[2], g[2]):
                            wrong.append(f"{metric}: {w} and {g}")
                    if counted and steps is not None and not same(counted[0], steps):
                        wrong.append(f"the counters gained {counted[0]} and {steps}")
                    compared += len(want) + (steps is not None)
                    failed += bool(wrong)
                    print(f"{source} {' '.join(options)}: {name}: {wrong or 'equal'}")
    print(f"{compared} figures compared, {failed} runs differ")
    sys.exit(1 if failed else 0)


main()
