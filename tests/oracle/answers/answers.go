// Package answers has the questions that are put to every Prometheus and the
// form in which its answers are kept. It depends on the standard library only,
// because programs for very old versions of Prometheus are built from it, too.
package answers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// Question asks the five queries about one set at one instant.
type Question struct {
	Set     string `json:"set"`
	TMs     int64  `json:"t_ms"`
	RangeMs int64  `json:"range_ms"`
}

// Answer is what one server says to a Question. A Bits field is nil if the
// server returned no sample.
type Answer struct {
	Question
	Total   *Bits    `json:"total"`
	Success *Bits    `json:"success"`
	Error   *Bits    `json:"error"`
	Health  []Health `json:"health"`
	P95     *Bits    `json:"p95"`
	// ErrorText has the error message of each query that failed, by the name
	// of its field.
	ErrorText map[string]string `json:"error_text"`
}

// Health is the mean health of one replica.
type Health struct {
	Labels map[string]string `json:"labels"`
	Bits   Bits              `json:"bits"`
}

// Bits is a float64, written as the 16 hex digits of its IEEE bits or as "nan".
type Bits string

// FromFloat returns the bits of v.
func FromFloat(v float64) Bits {
	if math.IsNaN(v) {
		return "nan"
	}
	return Bits(fmt.Sprintf("%016x", math.Float64bits(v)))
}

// Query is one of the five queries and the field that takes its answer.
type Query struct {
	Field string
	Text  string
}

// Queries returns the five queries of a question.
func (q Question) Queries() []Query {
	return []Query{
		{"total", fmt.Sprintf(`sum(increase(recommend_requests_total{set=%q}[%dms]))`, q.Set, q.RangeMs)},
		{"success", fmt.Sprintf(`sum(increase(recommend_requests_total{set=%q,status="200"}[%dms]))`, q.Set, q.RangeMs)},
		{"error", fmt.Sprintf(`sum(increase(recommend_requests_total{set=%q,status="500"}[%dms]))`, q.Set, q.RangeMs)},
		{"health", fmt.Sprintf(`avg_over_time(service_health_status{set=%q}[%dms])`, q.Set, q.RangeMs)},
		{"p95", fmt.Sprintf(`histogram_quantile(0.95, sum(rate(recommend_latency_seconds_bucket{set=%q}[%dms])) by (le))`, q.Set, q.RangeMs)},
	}
}

// Sample is one element of an instant vector.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Put stores the result of the query with that field name. A failed query
// leaves its field empty and its message in ErrorText.
func (a *Answer) Put(field string, vector []Sample, err error) error {
	if a.ErrorText == nil {
		a.ErrorText = map[string]string{}
	}
	if a.Health == nil {
		a.Health = []Health{}
	}
	if err != nil {
		a.ErrorText[field] = err.Error()
		return nil
	}
	if field == "health" {
		for _, s := range vector {
			a.Health = append(a.Health, Health{s.Labels, FromFloat(s.Value)})
		}
		slices.SortFunc(a.Health, func(x, y Health) int { return strings.Compare(labelKey(x.Labels), labelKey(y.Labels)) })
		return nil
	}
	if len(vector) > 1 {
		return fmt.Errorf("set %s: %s has %d results, not one", a.Set, field, len(vector))
	}
	if len(vector) == 0 {
		return nil
	}
	b := FromFloat(vector[0].Value)
	switch field {
	case "total":
		a.Total = &b
	case "success":
		a.Success = &b
	case "error":
		a.Error = &b
	case "p95":
		a.P95 = &b
	default:
		return fmt.Errorf("unknown field %q", field)
	}
	return nil
}

// labelKey is a text whose order is that of the labels' JSON objects.
func labelKey(m map[string]string) string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	return string(b)
}

// ReadQuestions reads one JSON object a line.
func ReadQuestions(file string) ([]Question, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var qs []Question
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var q Question
		if err := json.Unmarshal(sc.Bytes(), &q); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", file, len(qs)+1, err)
		}
		qs = append(qs, q)
	}
	return qs, sc.Err()
}

// WriteLines writes one JSON value a line.
func WriteLines[T any](file string, values []T) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			f.Close()
			return err
		}
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
