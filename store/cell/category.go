package cell

import (
	"sync"
	"sync/atomic"

	"remuda/store/ids"
)

// A CategoryID names a category of error inside this process. IDs below
// len(knownCategories) are the same everywhere and go into packed cells as they
// are; others are packed by name.
type CategoryID uint16

// knownCategories are the categories that gateways are known to send. Their
// order is part of the packed form: append only.
var knownCategories = [...]string{
	"unknown_error", // also: an error without a category
	"rate_limit", "network_error", "server_error", "timeout", "provider_error", "auth_error",
	"block_not_available", "requires_archival", "method_not_found", "method_error", "capability_violation",
	"internal_error", "chain_error", "invalid_request", "invalid_params", "parse_error", "user_error",
	"client_error", "execution_revert",
	ids.Other, // beyond MaxCategories
}

const (
	unknownCategory   CategoryID = 0
	rateLimitCategory CategoryID = 1
	otherCategory                = CategoryID(len(knownCategories) - 1)
)

// These two keep the largest packed cell below maxPacked: some 10 KB are categories, and three
// distributions of numBuckets counts have 6 bytes for each, which is 4·10¹² calls a bucket.
const (
	MaxCategories   = 250     // of all
	maxCategoryText = 8 << 10 // bytes of all names that are not known
)

// blameless are the categories that say nothing against the provider: the
// client's own faults, and running into a limit.
var blameless = map[string]bool{
	"execution_revert": true, "invalid_request": true, "invalid_params": true, "parse_error": true,
	"user_error": true, "client_error": true, "method_not_found": true, "rate_limit": true,
}

// Categories map names to ids and back. Safe for concurrent use; reads of
// known names take no lock that a writer holds for long.
type Categories struct {
	mu     sync.RWMutex
	byName map[string]CategoryID
	text   int                        // bytes of the names that are not known
	list   atomic.Pointer[[]category] // by id; replaced, never changed
}

type category struct {
	name      string
	blameless bool
}

// NewCategories returns those that are known.
func NewCategories() *Categories {
	c := &Categories{byName: make(map[string]CategoryID)}
	list := make([]category, len(knownCategories))
	for i, name := range knownCategories {
		c.byName[name] = CategoryID(i)
		list[i] = category{name, blameless[name]}
	}
	c.list.Store(&list)
	return c
}

// ID returns the id of a name, a new one while there is room.
func (c *Categories) ID(name string) CategoryID {
	if name == "" {
		return unknownCategory
	}
	c.mu.RLock()
	id, ok := c.byName[name]
	c.mu.RUnlock()
	if ok {
		return id
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if id, ok := c.byName[name]; ok {
		return id
	}
	old := *c.list.Load()
	if len(old) >= MaxCategories || c.text+len(name) > maxCategoryText {
		return otherCategory
	}
	c.text += len(name)
	name = string(append([]byte(nil), name...))
	id = CategoryID(len(old))
	list := append(old[:len(old):len(old)], category{name: name})
	c.byName[name] = id
	c.list.Store(&list)
	return id
}

// Name is the name of a category.
func (c *Categories) Name(id CategoryID) string { return (*c.list.Load())[id].name }

// Blameless reports whether errors of a category say nothing against the provider.
func (c *Categories) Blameless(id CategoryID) bool { return (*c.list.Load())[id].blameless }

// Len is how many categories there are.
func (c *Categories) Len() int { return len(*c.list.Load()) }
