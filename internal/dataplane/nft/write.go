/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package nft

import (
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// elementListLimit bounds the elements in one message: an attribute's length
// has 16 bits.
const elementListLimit = 60 << 10

// hookNumbers of linux/netfilter.h (NF_INET_...).
var hookNumbers = map[string]uint32{"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}

// writer appends the messages that make or change one table.
type writer struct {
	nfnl.Messages
	schema *ruleset.Schema
	table  string
	// flags are the table's, if it is made.
	flags uint32
}

func newWriter(schema *ruleset.Schema) *writer {
	return &writer{schema: schema, table: schema.Name}
}

func (w *writer) begin(command, flags uint16, about string, args ...any) {
	w.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|command, flags, protocolFamily(w.schema.Family), fmt.Sprintf(about, args...))
}

// removeTable deletes the table, there or not: made first, it can be deleted.
func (w *writer) removeTable() {
	w.begin(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, "finding table %s", w.table)
	w.String(unix.NFTA_TABLE_NAME, w.table)
	w.begin(unix.NFT_MSG_DELTABLE, 0, "deleting table %s", w.table)
	w.String(unix.NFTA_TABLE_NAME, w.table)
}

// createTable writes the whole schema, without elements and, if the hooks are to
// come last, without their rules.
func (w *writer) createTable(hooksLast bool) {
	w.newTable(unix.NLM_F_EXCL)
	for i, set := range w.schema.Sets {
		w.set(set, uint32(i+1))
	}
	for _, c := range w.schema.Chains {
		w.chain(c)
	}
	for _, c := range w.schema.Chains {
		if hooksLast && c.Hook != nil {
			continue
		}
		for _, r := range c.Rules {
			w.rule(c.Name, r)
		}
	}
}

// fillHooks writes the rules of the hooks.
func (w *writer) fillHooks() {
	for _, c := range w.schema.Chains {
		if c.Hook == nil {
			continue
		}
		for _, r := range c.Rules {
			w.rule(c.Name, r)
		}
	}
}

// newTable makes the table, or with no more flags for the message changes those
// of the table that is there.
func (w *writer) newTable(message uint16) {
	w.begin(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE|message, "adding table %s", w.table)
	w.String(unix.NFTA_TABLE_NAME, w.table)
	w.Bytes(tableUserdata, tableNotes(w.schema.Comment()))
	if w.flags != 0 {
		w.Uint32(unix.NFTA_TABLE_FLAGS, w.flags)
	}
}

// tableUserdata is NFTA_TABLE_USERDATA; the kernel keeps it since Linux 5.10.
const tableUserdata = 6

// tableNotes is a table's comment as nft writes it, with its final zero.
func tableNotes(comment string) []byte {
	const noteComment = 0
	return notes(nil).bytes(noteComment, append([]byte(comment), 0))
}

func (w *writer) set(set ruleset.Set, id uint32) {
	w.begin(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "adding set %s", set.Name)
	w.String(unix.NFTA_SET_TABLE, w.table)
	w.String(unix.NFTA_SET_NAME, set.Name)
	w.Uint32(unix.NFTA_SET_ID, id)
	w.Uint32(unix.NFTA_SET_FLAGS, setFlags(set))
	w.Uint32(unix.NFTA_SET_KEY_TYPE, typeNumber(set.Key, w.schema.Family))
	w.Uint32(unix.NFTA_SET_KEY_LEN, uint32(set.Key.Size(w.schema.Family)))
	switch {
	case set.Verdicts:
		w.Uint32(unix.NFTA_SET_DATA_TYPE, verdictType)
		w.Uint32(unix.NFTA_SET_DATA_LEN, verdictSize)
	case set.Data != nil:
		w.Uint32(unix.NFTA_SET_DATA_TYPE, typeNumber(set.Data, w.schema.Family))
		w.Uint32(unix.NFTA_SET_DATA_LEN, uint32(set.Data.Size(w.schema.Family)))
	}
	if set.IsConcatRange() {
		w.Nest(unix.NFTA_SET_DESC, func() { w.fields(set.Key) })
	}
	if set.Size > 0 {
		w.Nest(unix.NFTA_SET_DESC, func() { w.Uint32(unix.NFTA_SET_DESC_SIZE, set.Size) })
	}
	w.Bytes(unix.NFTA_SET_USERDATA, setNotes(set, w.schema.Family))
	if set.Counters {
		w.Nest(setExpression, func() {
			w.String(unix.NFTA_EXPR_NAME, "counter")
			w.Nest(unix.NFTA_EXPR_DATA, func() {})
		})
	}
}

// fields tells the kernel where the parts of a concatenation end, which it only
// asks of ranges.
func (w *writer) fields(key ruleset.Key) {
	w.Nest(setDescConcat, func() {
		for _, s := range key {
			w.Nest(unix.NFTA_LIST_ELEM, func() { w.Uint32(setFieldLength, uint32(s.Type(w.schema.Family).Size)) })
		}
	})
}

// Numbers of linux/netfilter/nf_tables.h that x/sys lacks.
const (
	setDescConcat  = 2
	setFieldLength = 1
	setConcat      = 0x80
	setExpression  = 17
	elementKeyEnd  = 10
)

const (
	verdictType = 0xffffff00 // NFT_DATA_VERDICT
	verdictSize = 16
)

func setFlags(set ruleset.Set) uint32 {
	flags := uint32(0)
	if set.Interval {
		flags |= unix.NFT_SET_INTERVAL
	}
	if set.IsConcatRange() {
		flags |= setConcat
	}
	if set.IsMap() {
		flags |= unix.NFT_SET_MAP
	}
	if set.Size > 0 {
		flags |= unix.NFT_SET_EVAL | unix.NFT_SET_TIMEOUT
	}
	return flags
}

func (w *writer) chain(c ruleset.Chain) {
	w.begin(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "adding chain %s", c.Name)
	w.String(unix.NFTA_CHAIN_TABLE, w.table)
	w.String(unix.NFTA_CHAIN_NAME, c.Name)
	if c.Hook == nil {
		return
	}
	w.Nest(unix.NFTA_CHAIN_HOOK, func() {
		w.Uint32(unix.NFTA_HOOK_HOOKNUM, hookNumbers[c.Hook.Point])
		w.Uint32(unix.NFTA_HOOK_PRIORITY, uint32(c.Hook.Priority))
	})
	w.Uint32(unix.NFTA_CHAIN_POLICY, acceptPolicy)
	w.String(unix.NFTA_CHAIN_TYPE, c.Hook.Type)
}

const acceptPolicy = 1 // NF_ACCEPT

func (w *writer) rule(chain string, r ruleset.Rule) {
	w.begin(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, "adding to chain %s the rule %q", chain, r.Text(w.schema.Family))
	w.String(unix.NFTA_RULE_TABLE, w.table)
	w.String(unix.NFTA_RULE_CHAIN, chain)
	w.Nest(unix.NFTA_RULE_EXPRESSIONS, func() { expressions{&w.Messages, w.schema.Family}.rule(r) })
}

// edits writes edits of one set and operation.
func (w *writer) edits(edits []ruleset.Edit) {
	if edits[0].Set == ruleset.StickyChains {
		w.onDemand(edits)
		return
	}
	set, _ := w.schema.Set(edits[0].Set)
	if edits[0].Operation != ruleset.Add {
		w.elements(unix.NFT_MSG_DELSETELEM, 0, "deleting", set, edits)
	}
	if edits[0].Operation != ruleset.Delete {
		w.elements(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "adding", set, edits)
	}
}

// onDemand makes or deletes chains.
func (w *writer) onDemand(edits []ruleset.Edit) {
	for _, e := range edits {
		if e.Operation == ruleset.Delete {
			w.begin(unix.NFT_MSG_DELCHAIN, 0, "deleting chain %s", e.Key)
			w.String(unix.NFTA_CHAIN_TABLE, w.table)
			w.String(unix.NFTA_CHAIN_NAME, e.Key)
			continue
		}
		c := w.schema.Chain(e.Key)
		w.chain(*c)
		for _, r := range c.Rules {
			w.rule(c.Name, r)
		}
	}
}

func (w *writer) elements(command, flags uint16, verb string, set ruleset.Set, edits []ruleset.Edit) {
	withData := command == unix.NFT_MSG_NEWSETELEM
	for len(edits) > 0 {
		w.begin(command, flags, "%s elements of %s", verb, set.Name)
		w.String(unix.NFTA_SET_ELEM_LIST_TABLE, w.table)
		w.String(unix.NFTA_SET_ELEM_LIST_SET, set.Name)
		start, list := w.Size(), w.Open(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
		for len(edits) > 0 && w.Size()-start < elementListLimit {
			w.element(set, edits[0].Element, withData)
			edits = edits[1:]
		}
		w.Close(list)
	}
}

func (w *writer) element(set ruleset.Set, e ruleset.Element, withData bool) {
	if set.Interval && !set.IsConcatRange() {
		w.rangeElements(e, withData)
		return
	}
	entry := w.Open(unix.NFTA_LIST_ELEM)
	w.rawValue(unix.NFTA_SET_ELEM_KEY, e.Key)
	switch {
	case set.IsConcatRange():
		w.rawValue(elementKeyEnd, e.Data)
	case withData && set.Verdicts:
		data := w.Open(unix.NFTA_SET_ELEM_DATA)
		verdict(&w.Messages, unix.NFT_GOTO, e.Data)
		w.Close(data)
	case withData && set.Data != nil:
		w.rawValue(unix.NFTA_SET_ELEM_DATA, e.Data)
	}
	w.Close(entry)
}

// rangeElements writes a range as its first address and the first after it. A
// range that reaches the end has only the first, with a note for nft.
func (w *writer) rangeElements(e ruleset.Element, withData bool) {
	w.Nest(unix.NFTA_LIST_ELEM, func() {
		w.rawValue(unix.NFTA_SET_ELEM_KEY, e.Key)
		if e.Data == "" && withData {
			w.Bytes(unix.NFTA_SET_ELEM_USERDATA, openRange)
		}
	})
	if e.Data != "" {
		w.Nest(unix.NFTA_LIST_ELEM, func() {
			w.rawValue(unix.NFTA_SET_ELEM_KEY, e.Data)
			w.Uint32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
		})
	}
}

// openRange is nft's element flag "interval open".
var openRange = []byte(notes(nil).number(1, 1))

func (w *writer) rawValue(kind uint16, value string) {
	start := w.Open(kind)
	w.Raw(unix.NFTA_DATA_VALUE, value)
	w.Close(start)
}
