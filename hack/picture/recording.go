package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// interval is how often the controller is scraped.
const interval = 5 * time.Second

// recording is what scrapes gave: each series in the notation of Prometheus' unit tests, one value for each of them. The times are
// rounded up to seconds and to the interval. hack/promtool/panels reads it.
type recording struct {
	Namespace string   `json:"namespace"`
	From      int64    `json:"from"` // in seconds, of Unix
	Seconds   int64    `json:"seconds"`
	Scrapes   int      `json:"scrapes"`
	Series    []string `json:"series"`
}

// scrapes are the values of each series by the number of the scrape.
type scrapes struct {
	from   time.Time
	count  int
	values map[string]map[int]float64
	// target is the labels that Prometheus adds, as text.
	target string
}

// scrape asks at once and then at every interval, until ctx ends.
func (s *scrapes) scrape(ctx context.Context, dial func(context.Context) (net.Conn, error)) error {
	client := http.Client{Timeout: interval, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}
	defer client.CloseIdleConnections()
	s.from, s.values = time.Now(), map[string]map[int]float64{}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://controller/metrics", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			var text []byte
			text, err = io.ReadAll(response.Body)
			err = errors.Join(err, response.Body.Close(), s.add(string(text)))
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("scraping the controller: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return nil
}

// add takes what one scrape gave, in the text format.
func (s *scrapes) add(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		brace := strings.IndexByte(line, '{')
		if end < 0 || brace < 0 {
			return fmt.Errorf("%q is no sample with labels", line)
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return fmt.Errorf("%q is no sample: %w", line, err)
		}
		series := line[:brace+1] + s.target + "," + line[brace+1:end]
		if s.values[series] == nil {
			s.values[series] = map[int]float64{}
		}
		s.values[series][s.count] = value
	}
	s.count++
	return nil
}

func (s *scrapes) recording() recording {
	r := recording{Namespace: namespace, From: s.from.Add(time.Second - 1).Unix(), Seconds: int64(interval / time.Second), Scrapes: s.count}
	for series, values := range s.values {
		r.Series = append(r.Series, series+" "+notation(values, s.count))
	}
	slices.Sort(r.Series)
	return r
}

// notation is values as Prometheus' unit tests write them: 1x3 is four times 1, and _ is none.
func notation(values map[int]float64, count int) string {
	var parts []string
	text := func(i int) string {
		if v, ok := values[i]; ok {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return "_"
	}
	for i := 0; i < count; {
		same := 1
		for i+same < count && text(i+same) == text(i) {
			same++
		}
		switch {
		case same == 1:
			parts = append(parts, text(i))
		case text(i) == "_":
			parts = append(parts, fmt.Sprintf("_x%d", same))
		default:
			parts = append(parts, fmt.Sprintf("%sx%d", text(i), same-1))
		}
		i += same
	}
	return strings.Join(parts, " ")
}

// write writes the recording to a file, a series on each line.
func (r recording) write(file string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing the recording: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
