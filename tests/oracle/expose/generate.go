package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// table holds texts at the edges of both grammars; each is parsed as both.
var table = []string{
	"", "\n", "\n\n", "a 1", "a 1\n", "a 1\r\n", "a 1 2\r\n", "\xef\xbb\xbfa 1\n", "  a 1\n", "\ta 1\n", "a\t1\t2\t\n",
	"a 1\n# EOF\n", "a 1\n# EOF", "a 1\n# EOF\nb 2\n", "a 1\n# EOF\n\n", "# EOF\n", "# EOF", "# EOF x\n", "a 1 # EOF\n",
	"a{} 1\n# EOF\n", "a {} 1\n# EOF\n", "a{}1\n# EOF\n", "a{b=\"c\"}1 2\n# EOF\n", "a  1\n# EOF\n", "a 1 \n# EOF\n",
	"a{b=\"c\",} 1\n# EOF\n", "a{,} 1\n# EOF\n", "a{b=\"c\",,} 1\n# EOF\n", "a{b=\"c\" d=\"e\"} 1\n# EOF\n",
	"a{b=\"c\"d=\"e\"} 1\n# EOF\n", "a{ b = \"c\" , d = \"e\" } 1\n# EOF\n", "a{b='c'} 1\n# EOF\n", "a{b=c} 1\n# EOF\n",
	"a{b=\"\"} 1\n# EOF\n", "a{b=\"c\nd\"} 1\n# EOF\n", "a{b=\"c\n1 2\"} 1\nd 2\n# EOF\n", "a{b=\"c\\\nd\"} 1\n# EOF\n",
	"a{b=\"\\n\\\\\\\"\\t\\x\"} 1\n# EOF\n", "a{b=\"c\\\"} 1\n# EOF\n", "a{b=\"c 1\nd{e=\"f\"} 2\n# EOF\n",
	"a{b=\"}\",c=\",\",d=\"=\",e=\"{\",f=\" 5 \"} 1\n# EOF\n", "a{b=\"\xff\"} 1\n# EOF\n", "\xff 1\n# EOF\n", "é 1\n# EOF\n",
	"a{é=\"1\"} 1\n# EOF\n", "a{b=\"c\",b=\"d\"} 1\n# EOF\n", "a{__name__=\"b\"} 1\n# EOF\n", "{__name__=\"b\"} 1\n# EOF\n",
	"{} 1\n# EOF\n", "{\"a\"} 1\n# EOF\n", "{\"a.b\",c=\"d\"} 1\n# EOF\n", "{c=\"d\",\"a.b\"} 1\n# EOF\n", "{\"a\",\"b\"} 1\n# EOF\n",
	"{\"a.b\"=\"c\"} 1\n# EOF\n", "{\"a\",\"b.c\"=\"d\"} 1 2\n# EOF\n", "a{\"b\"} 1\n# EOF\n", "a{\"b.c\"=\"d\"} 1\n# EOF\n",
	"{\"\"} 1\n# EOF\n", "{\"a\",\"\"=\"b\"} 1\n# EOF\n", "{\"a\nb\"} 1\n# EOF\n", "{\"a\\nb\\\"c\\\\d\"} 1\n# EOF\n",
	"{\"\xff\"} 1\n# EOF\n", "{\"a\",\"\xff\"=\"b\"} 1\n# EOF\n", "{\"a\" ,\"b\"=\"c\"} 1\n# EOF\n", "{\"a\" \"b\"=\"c\"} 1\n# EOF\n",
	"{\"a\",} 1\n# EOF\n", "9a 1\n# EOF\n", "a:b 1\n# EOF\n", ":a 1\n# EOF\n", "a{b:c=\"d\"} 1\n# EOF\n", "a.b 1\n# EOF\n", "a-b 1\n# EOF\n",
	"a NaN\n# EOF\n", "a nan\n# EOF\n", "a -nan\n# EOF\n", "a +Inf\n# EOF\n", "a -inf\n# EOF\n", "a iNfinity\n# EOF\n", "a infin\n# EOF\n",
	"a 0x1p1\n# EOF\n", "a 0x10\n# EOF\n", "a 1_0\n# EOF\n", "a 1e400\n# EOF\n", "a -1e400\n# EOF\n", "a 1e-400\n# EOF\n", "a .5\n# EOF\n",
	"a 5.\n# EOF\n", "a .\n# EOF\n", "a +1\n# EOF\n", "a -0\n# EOF\n", "a e5\n# EOF\n", "a 1e\n# EOF\n", "a 1,5\n# EOF\n", "a\n# EOF\n", "a \n# EOF\n",
	"a 9007199254740993\n# EOF\n", "a 1.7976931348623158e308\n# EOF\n", "a 1.7976931348623159e308\n# EOF\n", "a 2.2250738585072011e-308\n# EOF\n",
	"a 179769313486231580793728971405301e276\n# EOF\n", "a 0.000000000000000000000000000000000000001e39\n# EOF\n", "a 00000000000000000001\n# EOF\n",
	"a 1 -1\n# EOF\n", "a 1 +1\n# EOF\n", "a 1 1.5\n# EOF\n", "a 1 1e3\n# EOF\n", "a 1 9223372036854775807\n# EOF\n", "a 1 9223372036854775808\n# EOF\n",
	"a 1 1.001\n# EOF\n", "a 1 0.0019999\n# EOF\n", "a 1 1700215884.373\n# EOF\n", "a 1 1e300\n# EOF\n", "a 1 -1e300\n# EOF\n", "a 1 NaN\n# EOF\n", "a 1 Inf\n# EOF\n",
	"a 1 2 3\n# EOF\n", "a 1 2x\n# EOF\n", "a 1{\n# EOF\n", "a{b=\"c\"}{ 1\n# EOF\n", "a 1 x\n# EOF\n", "a=1\n# EOF\n", "a{b=\"c\"\n# EOF\n", "a{\n# EOF\n", "a{b\n# EOF\n", "a{b=\n# EOF\n",
	"# HELP a b\n# EOF\n", "# HELP a\n# EOF\n", "# HELP a \n# EOF\n", "# HELP a   \n# EOF\n", "# HELP a  b \n# EOF\n", "# HELP\n# EOF\n", "# HELP \n# EOF\n", "# HELP  a b\n# EOF\n",
	"#HELP a b\n# EOF\n", "#  HELP a b\n# EOF\n", "#\tHELP\ta\tb\n# EOF\n", "# HELP a-b c\n# EOF\n", "# HELP 9a c\n# EOF\n", "# HELP a b\\nc\\\\d\\\"e\n# EOF\n", "# HELP a \xff\n# EOF\n", "# HELP a b\r\n# EOF\n",
	"# HELP \"a.b\" c\n# EOF\n", "# HELP \"a.b\"c\n# EOF\n", "# HELP \"a\nb\" c\n# EOF\n", "# HELPx a b\n# EOF\n", "# TYPE a counter\na_total 1\n# EOF\n", "# TYPE a counter \n# EOF\n",
	"# TYPE a counter\r\n# EOF\n", "# TYPE a\n# EOF\n", "# TYPE a Counter\n# EOF\n", "# TYPE a unknown\n# EOF\n", "# TYPE a untyped\n# EOF\n", "# TYPE a info\n# EOF\n", "# TYPE a stateset\n# EOF\n",
	"# TYPE a gaugehistogram\n# EOF\n", "# TYPE a  counter\n# EOF\n", "# TYPE a-counter\n# EOF\n", "# TYPE \"a b\" gauge\n{\"a b\"} 1\n# EOF\n", "# UNIT a_seconds seconds\n# EOF\n", "# UNIT a seconds\n# EOF\n",
	"# UNIT a \n# EOF\n", "# UNIT seconds seconds\n# EOF\n", "# UNIT _seconds seconds\n# EOF\n", "# comment\n# EOF\n", "#\n# EOF\n", "# \n# EOF\n", "#x\n# EOF\n",
	"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e6\"} 1\nh_bucket{le=\"+inf\"} 2\nh_bucket{le=\"abc\"} 2\nother{le=\"0.50\"} 2\n# EOF\n",
	"# TYPE s summary\ns{quantile=\"1\"} 1\ns{quantile=\"0x1p1\"} 1\ns{quantile=\"1_0\"} 1\ns{le=\"1\"} 1\n# TYPE g gauge\ns{quantile=\"1\"} 1\n# EOF\n",
	"a_bucket{le=\"1\"} 3 # {id=\"x\"} 0.5\n# EOF\n", "a 3 12.5 # {id=\"x\"} 0.5 1.25\n# EOF\n", "a 3 # {} 0.5\n# EOF\n", "a 3 # {id=\"x\",} 0.5\n# EOF\n", "a 3 # {\"id\"=\"x\"} 0.5\n# EOF\n", "a 3 # {\"id\"} 0.5\n# EOF\n",
	"a 3 # {id=\"\\n\\\"\"} 0.5\n# EOF\n", "a 3 # {id=\"x\"}\n# EOF\n", "a 3 # {id=\"x\"} y\n# EOF\n", "a 3 # {id=\"x\"} 1 Inf\n# EOF\n", "a 3 # {id=\"x\"} 1 2 3\n# EOF\n", "a 3 #{id=\"x\"} 1\n# EOF\n", "a 3 # x\n# EOF\n", "a 3  # {id=\"x\"} 1\n# EOF\n",
	"a 3 # {id=\"\xff\"} 1\n# EOF\n", "a 3 # {id=\"x\",id=\"y\"} 1\n# EOF\n", "a 3 # {__name__=\"x\"} 1\n# EOF\n", "a 1\n\nb 2\n# EOF\n", "a 1\nb\nc 3\n# EOF\n", "a 1\na 1\na 2 5\na 3 5\n# EOF\n",
	"a{b=\"\x00\"} 1\n# EOF\n", "a\x00 1\n# EOF\n", "a 1\x00\n# EOF\n", "# HELP a b\x00c\n# EOF\n", "{\"a\x00\"} 1\n# EOF\n", "\x00a 1\n# EOF\n", "a{b=\"c\"\x00} 1\n# EOF\n", "a{b=\x00\"c\"} 1\n# EOF\n",
	"# scrape 2025-11-19T12:00:00Z\n# EOF\n", "a_created 1.5\n# EOF\n", "# TYPE a counter\na_total 1\na_created 1.7e9\n# EOF\n",
}

// generator makes expositions that are mostly valid.
type generator struct {
	r  *rand.Rand
	om bool
}

func (g *generator) one(of ...string) string { return of[g.r.IntN(len(of))] }

func (g *generator) blank() string {
	if g.om {
		return " "
	}
	return g.one(" ", " ", " ", "  ", "\t", " \t ")
}

// gap is where blanks are allowed in the text format.
func (g *generator) gap() string {
	if g.om || g.r.IntN(3) > 0 {
		return ""
	}
	return g.one(" ", "\t", "  ")
}

func (g *generator) name() string {
	return g.one("a", "up", "vllm:num_requests_running", "http_requests_total", "h_bucket", "h_sum", "s", "_x9", "a_created", ":r")
}

func (g *generator) text() string {
	parts := []string{"", "a", "value", "x y", "0.5", "1", "+Inf", ",", "=", "}", "{", "\\n", "\\\\", "\\\"", "\\t", "é", "\u200b", "日本", "#", "'"}
	if !g.om {
		parts = append(parts, "\n", "\n# TYPE a gauge\n")
	}
	var b strings.Builder
	for range g.r.IntN(4) {
		b.WriteString(parts[g.r.IntN(len(parts))])
	}
	return b.String()
}

func (g *generator) labels() string {
	names := []string{"b", "le", "quantile", "job", "\"http.code\"", "_", "\"q\\\"x\"", "A9"}
	g.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var b strings.Builder
	for i, name := range names[:g.r.IntN(4)] {
		if i > 0 {
			b.WriteString(g.gap() + "," + g.gap())
		}
		value := g.text()
		if (name == "le" || name == "quantile") && g.r.IntN(4) > 0 {
			value = g.number()
		}
		b.WriteString(name + g.gap() + "=" + g.gap() + `"` + value + `"`)
	}
	if b.Len() > 0 && g.r.IntN(6) == 0 {
		b.WriteString(",")
	}
	return g.gap() + b.String() + g.gap()
}

func (g *generator) series() string {
	switch g.r.IntN(6) {
	case 0:
		return g.name()
	case 1:
		name := g.one("my.name", "a b", "é", "x\\\"y", "up", "日本.語")
		rest := g.labels()
		if strings.TrimSpace(rest) == "" {
			return `{` + g.gap() + `"` + name + `"` + g.gap() + `}`
		}
		return `{"` + name + `",` + rest + `}`
	default:
		return g.name() + g.gap() + "{" + g.labels() + "}"
	}
}

func (g *generator) number() string {
	switch g.r.IntN(8) {
	case 0:
		return g.one("NaN", "nan", "Inf", "+Inf", "-Inf", "-infinity", "0", "-0", "1e400", "1e-400", "0x1p3", "1_0", ".5", "5.", "4.9e-324")
	case 1:
		return fmt.Sprintf("%d", g.r.Int64()>>g.r.IntN(63))
	case 2:
		return fmt.Sprintf("%.*f", g.r.IntN(20), g.r.NormFloat64()*1e6)
	case 3:
		return fmt.Sprintf("%.*e", g.r.IntN(25), g.r.ExpFloat64())
	case 4:
		return fmt.Sprintf("%s%de%d", g.one("", "-", "+"), g.r.Uint64(), g.r.IntN(700)-370)
	case 5:
		return fmt.Sprintf("0.%019d%019d", g.r.Int64(), g.r.Int64())
	default:
		return fmt.Sprintf("%g", g.r.NormFloat64()*1000)
	}
}

func (g *generator) timestamp() string {
	if !g.om {
		return fmt.Sprintf("%d", g.r.Int64()>>g.r.IntN(63))
	}
	switch g.r.IntN(3) {
	case 0:
		return fmt.Sprintf("%.3f", float64(1_600_000_000_000+g.r.Int64N(400_000_000_000))/1000)
	case 1:
		return fmt.Sprintf("%g", g.r.NormFloat64()*1e9)
	default:
		return g.number()
	}
}

func (g *generator) line() string {
	switch g.r.IntN(10) {
	case 0:
		types := []string{"counter", "gauge", "histogram", "summary", "untyped"}
		if g.om {
			types = []string{"counter", "gauge", "histogram", "summary", "unknown", "info", "stateset", "gaugehistogram"}
		}
		return "# TYPE " + g.name() + " " + g.one(types...) + "\n"
	case 1:
		return "#" + g.blank() + "HELP" + g.blank() + g.one(g.name(), `"my.name"`) + " " + strings.ReplaceAll(g.text(), "\n", " ") + "\n"
	case 2:
		if g.om {
			return "# UNIT " + g.one("a_seconds seconds", "up ", "x_bytes bytes", "x bytes") + "\n"
		}
		return g.one("# comment\n", "#\n", "\n", "# EOF\n", " \t\n")
	}
	line := g.series() + g.blank() + g.number()
	if g.r.IntN(2) == 0 {
		line += g.blank() + g.timestamp()
	}
	if g.om && g.r.IntN(4) == 0 {
		line += " # {" + g.one("", `id="x"`, `a="b",c="\\n"`, `"q"="z"`) + "} " + g.number()
		if g.r.IntN(2) == 0 {
			line += " " + g.timestamp()
		}
	}
	if !g.om && g.r.IntN(8) == 0 {
		line += g.blank()
	}
	return line + "\n"
}

func (g *generator) exposition() []byte {
	var b strings.Builder
	for range 1 + g.r.IntN(4) {
		b.WriteString(g.line())
	}
	text := b.String()
	if g.om && g.r.IntN(12) > 0 {
		text += "# EOF\n"
	}
	if g.r.IntN(12) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return []byte(text)
}

// mutate changes a few bytes.
func (g *generator) mutate(text []byte) []byte {
	const alphabet = "{}{}\"\"\"\\\\,,==  \t\n\n##_:09azEeHELPTYPEUNIT.+-InfNaN\r\x00\xff\xc3\xa9"
	for range 1 + g.r.IntN(3) {
		if len(text) == 0 {
			return text
		}
		at := g.r.IntN(len(text))
		c := alphabet[g.r.IntN(len(alphabet))]
		switch g.r.IntN(5) {
		case 0:
			text[at] = c
		case 1:
			text = append(text[:at], append([]byte{c}, text[at:]...)...)
		case 2:
			text = append(text[:at], text[at+1:]...)
		case 3:
			text[at] ^= 1 << g.r.IntN(8)
		default:
			text = text[:at]
		}
	}
	return text
}
