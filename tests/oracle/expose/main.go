// Command expose parses made-up and damaged expositions with Prometheus' own
// parsers and prints, one JSON object a line, what they got. See ../README.md.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sort"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	seed := flag.Uint64("seed", 1, "seed of every random choice")
	cases := flag.Int("cases", 4000, "number of random cases behind the table")
	flag.Parse()
	if err := run(*seed, *cases); err != nil {
		fmt.Fprintln(os.Stderr, "expose:", err)
		os.Exit(1)
	}
}

func run(seed uint64, cases int) error {
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, text := range table {
		for _, dialect := range []string{prom, om} {
			if err := enc.Encode(parse(dialect, []byte(text))); err != nil {
				return err
			}
		}
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for range cases {
		dialect := prom
		if r.IntN(2) == 0 {
			dialect = om
		}
		g := generator{r: r, om: dialect == om}
		text := g.exposition()
		if r.IntN(4) > 0 {
			text = g.mutate(text)
		}
		if err := enc.Encode(parse(dialect, text)); err != nil {
			return err
		}
	}
	return out.Flush()
}

const (
	prom = "prometheus"
	om   = "openmetrics"
)

// bytesText carries bytes through JSON: each as the character of its number.
type bytesText []byte

func (b bytesText) MarshalJSON() ([]byte, error) {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return json.Marshal(string(runes))
}

// result is what a parser made of a text.
type result struct {
	Dialect string    `json:"dialect"`
	Text    bytesText `json:"text"`
	Entries []entry   `json:"entries"`
	// Error is empty where the parser reached the end.
	Error string `json:"error"`
}

type entry struct {
	Kind string `json:"kind"`
	// Name and Value of metadata.
	Name  bytesText `json:"name,omitempty"`
	Value bytesText `json:"value,omitempty"`
	// Labels of a sample, the metric name included, in order of their names.
	Labels [][2]bytesText `json:"labels,omitempty"`
	// Bits of the value as 16 hex digits.
	Bits string `json:"bits,omitempty"`
	TMs  *int64 `json:"t_ms,omitempty"`
	// Refused by the scrape loop, since the labels make no valid series.
	Refused  bool   `json:"refused,omitempty"`
	Exemplar *entry `json:"exemplar,omitempty"`
}

func parse(dialect string, text []byte) (res result) {
	res = result{Dialect: dialect, Text: text, Entries: []entry{}}
	contentType := "text/plain"
	if dialect == om {
		contentType = "application/openmetrics-text"
	}
	// The parser may write behind its input.
	input := append(make([]byte, 0, len(text)+1), text...)
	defer func() {
		if p := recover(); p != nil {
			res.Error = fmt.Sprintf("panic: %v", p)
		}
	}()
	p, err := textparse.New(input, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		res.Error = err.Error()
		return res
	}
	for {
		kind, err := p.Next()
		if errors.Is(err, io.EOF) {
			return res
		}
		if err != nil {
			res.Error = err.Error()
			return res
		}
		switch kind {
		case textparse.EntryType:
			name, t := p.Type()
			res.Entries = append(res.Entries, entry{Kind: "type", Name: clone(name), Value: bytesText(t)})
		case textparse.EntryHelp:
			name, help := p.Help()
			res.Entries = append(res.Entries, entry{Kind: "help", Name: clone(name), Value: clone(help)})
		case textparse.EntryUnit:
			name, unit := p.Unit()
			res.Entries = append(res.Entries, entry{Kind: "unit", Name: clone(name), Value: clone(unit)})
		case textparse.EntryComment:
			res.Entries = append(res.Entries, entry{Kind: "comment"})
		case textparse.EntrySeries:
			res.Entries = append(res.Entries, sample(p))
		default:
			res.Error = fmt.Sprintf("unexpected entry %d", kind)
			return res
		}
	}
}

func sample(p textparse.Parser) entry {
	var l labels.Labels
	p.Labels(&l)
	_, ts, value := p.Series()
	e := entry{Kind: "sample", Labels: pairs(l), Bits: bits(value)}
	if ts != nil {
		t := *ts
		e.TMs = &t
	}
	_, twice := l.HasDuplicateLabelNames()
	e.Refused = !l.Has(model.MetricNameLabel) || !l.IsValid(model.UTF8Validation) || twice
	var ex exemplar.Exemplar
	if p.Exemplar(&ex) {
		e.Exemplar = &entry{Kind: "exemplar", Labels: pairs(ex.Labels), Bits: bits(ex.Value)}
		if ex.HasTs {
			e.Exemplar.TMs = &ex.Ts
		}
	}
	return e
}

func pairs(l labels.Labels) [][2]bytesText {
	var out [][2]bytesText
	l.Range(func(l labels.Label) {
		out = append(out, [2]bytesText{bytesText(l.Name), bytesText(l.Value)})
	})
	sort.SliceStable(out, func(i, j int) bool { return string(out[i][0]) < string(out[j][0]) })
	return out
}

func bits(v float64) string { return fmt.Sprintf("%016x", math.Float64bits(v)) }

func clone(b []byte) bytesText { return append(bytesText{}, b...) }
