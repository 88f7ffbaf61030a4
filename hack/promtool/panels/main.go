// Command panels asks every query of a Grafana dashboard of what was recorded, by Prometheus' own engine, and prints the answers:
//
//	panels charts/kthena/files/dashboard.json hack/picture/recording.json
//
// A query without an answer is an error, so whoever looks at a picture of the dashboard knows that each of its panels has data.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: panels DASHBOARD RECORDING")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "panels: error:", err)
		os.Exit(1)
	}
}

// dashboard is what is read of Grafana's.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct {
			RefID, Expr string
			Instant     bool
		}
	}
}

// answer is what a query of a panel gives.
type answer struct {
	Panel  string  `json:"panel"`
	RefID  string  `json:"refId"`
	Series []curve `json:"series"`
}

// curve is one of its series; the times are those of Unix, in seconds.
type curve struct {
	Labels map[string]string `json:"labels"`
	Points [][2]float64      `json:"points"`
}

func run(ctx context.Context, dashboardFile, recordingFile string) error {
	var d dashboard
	if err := readJSON(dashboardFile, &d); err != nil {
		return err
	}
	var r recording
	if err := readJSON(recordingFile, &r); err != nil {
		return err
	}
	db, err := r.store(ctx)
	if err != nil {
		return fmt.Errorf("storing %s: %w", recordingFile, err)
	}
	defer db.Close()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		Parser: parser.NewParser(parser.Options{}),
	})
	defer engine.Close()
	// Grafana fills in its variables before it asks; a rate reaches over four scrapes.
	filled := strings.NewReplacer("$namespace", r.Namespace, "$__rate_interval", (4 * r.interval()).String())
	var answers []answer
	var errs []error
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			series, err := ask(ctx, engine, db, r, filled.Replace(t.Expr), t.Instant)
			if err == nil && len(series) == 0 {
				err = errors.New("it gives no data")
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("panel %q, query %s: %w", p.Title, t.RefID, err))
				continue
			}
			answers = append(answers, answer{p.Title, t.RefID, series})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

// ask asks a query for the whole time of the recording, or for its end alone.
func ask(ctx context.Context, engine *promql.Engine, db storage.Queryable, r recording, expr string, instant bool) ([]curve, error) {
	begin := r.end()
	if !instant {
		begin = r.at(0)
	}
	query, err := engine.NewRangeQuery(ctx, db, nil, expr, begin, r.end(), r.interval())
	if err != nil {
		return nil, err
	}
	defer query.Close()
	matrix, err := query.Exec(ctx).Matrix()
	if err != nil {
		return nil, err
	}
	var curves []curve
	for _, s := range matrix {
		c := curve{Labels: s.Metric.Map()}
		for _, p := range s.Floats {
			c.Points = append(c.Points, [2]float64{float64(p.T) / 1000, p.F})
		}
		curves = append(curves, c)
	}
	return curves, nil
}

func readJSON(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("parsing %s: %w", file, err)
	}
	return nil
}
