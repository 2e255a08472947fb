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

package replicas

import "slices"

// cause is why the server refused a number in its own words.
type cause string

const (
	// unheard: no replica lived long enough to answer, and the webhook's failure
	// policy lets the request pass. What such a request asks for by number is
	// refused by the server alone; nobody else can say anything.
	unheard cause = "no replica answered"
	// passed: its time was over.
	passed cause = "a replica left it to the server"
	// address: of ClusterIPs the ledger knows nothing.
	address cause = "an address"

	asked  cause = "asked for, "
	chosen cause = "chosen by a replica, "

	// Between the moment in which a replica asks the server whether a port is free
	// and that in which the server takes it for the Service, another request may
	// take it: one that a replica has judged, or one that none has.
	arriving cause = "another Service was being given it"
	drawn    cause = "the server was giving it to another without asking a replica"
	// lost: that other request has come to nothing in the end.
	lost cause = "a request that came to nothing may have had it"

	// leaving: the watch says that a Service is gone before the server has taken its
	// port back. The server is asked, so that no replica chooses such a port, and one
	// that is asked for is waited for. What is left may be lost as well.
	leaving cause = "its holder was giving it up"
	// settled: the server knows of it, and the watch must have shown it.
	settled cause = "another Service had it all the while"
)

// impossible tells causes that can not be.
func (c cause) impossible() bool {
	return c == chosen+settled || c == asked+settled
}

// judged tells causes for which a replica has answered.
func (c cause) judged() bool { return c != unheard && c != passed }

// causeOf finds out why the server refused a number.
func (l *ledger) causeOf(c collision) cause {
	switch {
	case !c.heard.has(answered):
		return unheard
	case c.heard.has(unjudged):
		return passed
	case c.port == 0:
		return address
	case slices.Contains(c.asked, c.port):
		return asked + l.whoHad(c)
	}
	return chosen + l.whoHad(c)
}

func (l *ledger) whoHad(c collision) cause {
	l.mu.Lock()
	defer l.mu.Unlock()
	why := lost
	for _, s := range l.spans[c.port] {
		if s.service == c.service || s.from.After(c.arrived) || !s.to.IsZero() && s.to.Before(c.sent) {
			continue
		}
		switch {
		case s.known.After(c.sent) && s.judged:
			why = arriving
		case s.known.After(c.sent):
			why = drawn
		case !s.leaving.IsZero() && s.leaving.Before(c.arrived):
			why = leaving
		default:
			return settled
		}
	}
	return why
}
