package main

// Truth is the content of truth.json: what really happened.
type Truth struct {
	Seed uint64     `json:"seed"`
	Sets []SetTruth `json:"sets"`
}

// SetTruth describes one set. Only a set with Truth has replicas; the others
// list the oddities that were put into them.
type SetTruth struct {
	Set        string    `json:"set"`
	Truth      bool      `json:"truth"`
	IntervalMs int64     `json:"interval_ms"`
	FirstMs    int64     `json:"first_ms"` // of any sample; 0 if there is none
	LastMs     int64     `json:"last_ms"`
	Samples    int       `json:"samples"`
	ServerDown []span    `json:"server_down"`
	Oddities   []string  `json:"oddities,omitempty"`
	Replicas   []Replica `json:"replicas,omitempty"`
}

// Replica is one target of a set.
type Replica struct {
	Job              string      `json:"job"`
	Instance         string      `json:"instance"`
	StartTimeExposed bool        `json:"start_time_exposed"`
	Unreachable      []span      `json:"unreachable"` // the process lives on
	OKScrapes        int         `json:"ok_scrapes"`
	FailedScrapes    int         `json:"failed_scrapes"`
	Processes        []Process   `json:"processes"`
	Requests         []Increment `json:"requests"`
	Switches         []Increment `json:"switches"`
}

// Process is one life of a replica's process.
type Process struct {
	Life    int    `json:"life"`
	StartMs int64  `json:"start_ms"`
	EndMs   *int64 `json:"end_ms"` // nil if it outlives the data
}

// Increment is everything that one child counted between two samples.
type Increment struct {
	// Kind is "initial" at the replica's first successful scrape (counted
	// before the data begin), "restart" at the first one of a later life,
	// "birth" when the child is first shown in a life that was scraped before,
	// "return" when the scrape before did not show it though an earlier one
	// of the same life did, "remade" if the process dropped the child and made
	// it anew since the scrape before, "step" otherwise, and "lost" if no sample
	// shows it. In all kinds but "step" and "return" the child counts from 0.
	Kind      string            `json:"kind"`
	TMs       *int64            `json:"t_ms"` // of the scrape; nil if lost
	LostAtMs  *int64            `json:"lost_at_ms,omitempty"`
	Labels    map[string]string `json:"labels"`
	Amount    float64           `json:"amount"`
	AtMs      []int64           `json:"at_ms,omitempty"` // of each single switch
	Life      int               `json:"life"`
	Value     *float64          `json:"value"`      // of the sample; nil if lost
	PrevMs    *int64            `json:"prev_ms"`    // of the child's sample before, of any life
	PrevValue *float64          `json:"prev_value"` // stale markers do not count as samples
	// Absent says that a successful scrape did not show the child between its stale marker (the marker's own scrape
	// included) and this sample. Such a return is listed even if nothing was counted meanwhile.
	Absent bool `json:"absent"`
}
