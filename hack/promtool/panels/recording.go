package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// recording is a number of scrapes: each series in the notation of Prometheus' unit tests, one value for each of them.
type recording struct {
	Namespace string   `json:"namespace"`
	From      int64    `json:"from"` // in seconds, of Unix
	Seconds   int64    `json:"seconds"`
	Scrapes   int      `json:"scrapes"`
	Series    []string `json:"series"`
}

func (r recording) interval() time.Duration { return time.Duration(r.Seconds) * time.Second }

// at is the time of a scrape.
func (r recording) at(scrape int) time.Time {
	return time.Unix(r.From, 0).Add(time.Duration(scrape) * r.interval())
}

func (r recording) end() time.Time { return r.at(r.Scrapes - 1) }

// database is one that is gone when it is closed.
type database struct {
	*tsdb.DB
	dir string
}

func (d database) Close() error { return errors.Join(d.DB.Close(), os.RemoveAll(d.dir)) }

// store puts the recording into a database, as Prometheus would have done.
func (r recording) store(ctx context.Context) (database, error) {
	dir, err := os.MkdirTemp("", "panels-")
	if err != nil {
		return database{}, err
	}
	db, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return database{}, errors.Join(err, os.RemoveAll(dir))
	}
	stored := database{db, dir}
	if err := r.appendTo(ctx, db); err != nil {
		return database{}, errors.Join(err, stored.Close())
	}
	return stored, nil
}

func (r recording) appendTo(ctx context.Context, db *tsdb.DB) error {
	appender := db.Appender(ctx)
	notation := parser.NewParser(parser.Options{})
	for _, text := range r.Series {
		labels, values, err := notation.ParseSeriesDesc(text)
		if err != nil {
			return fmt.Errorf("parsing %q: %w", text, err)
		}
		there := false
		for i, v := range values {
			switch {
			case !v.Omitted:
			case there:
				// A scrape without a series that was there ends it.
				v.Value = math.Float64frombits(value.StaleNaN)
			default:
				continue
			}
			there = !v.Omitted
			if _, err := appender.Append(0, labels, r.at(i).UnixMilli(), v.Value); err != nil {
				return fmt.Errorf("storing %s: %w", labels, err)
			}
		}
	}
	return appender.Commit()
}
