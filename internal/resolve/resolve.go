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

package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
)

// Run asks until a name has records. The last answer is the one that counts,
// those before it are of names of the search list that had none. An error
// means that a name could not be asked for: no server answered, or each said
// that it can not.
func Run(ctx context.Context, r Request) ([]Answer, error) {
	question, err := r.question()
	if err != nil {
		return nil, err
	}
	config, err := r.config()
	if err != nil {
		return nil, err
	}
	names := config.NameList(r.Name)
	if question.reverse != "" {
		names = []string{question.reverse}
	}
	var answers []Answer
	for _, name := range names {
		a, err := r.ask(ctx, config, name, question.kind)
		if err != nil {
			return answers, err
		}
		answers = append(answers, a)
		if a.Found() {
			break
		}
	}
	return answers, nil
}

// errRefused is an answer that says nothing of the name.
var errRefused = errors.New("no answer about the name")

// ask asks the servers in their order until one can say something.
func (r Request) ask(ctx context.Context, config *dns.ClientConfig, name string, kind uint16) (Answer, error) {
	var errs []error
	for _, server := range config.Servers {
		a, err := r.exchange(ctx, net.JoinHostPort(server, config.Port), name, kind)
		if err == nil {
			return a, nil
		}
		errs = append(errs, fmt.Errorf("asking %s for %s: %w", server, name, err))
	}
	return Answer{}, errors.Join(errs...)
}

func (r Request) exchange(ctx context.Context, server, name string, kind uint16) (Answer, error) {
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = 2 * time.Second
	}
	client := dns.Client{Net: "udp", Timeout: timeout}
	if r.TCP {
		client.Net = "tcp"
	}
	query := new(dns.Msg).SetQuestion(name, kind)
	query.SetEdns0(dns.DefaultMsgSize, false)
	reply, _, err := client.ExchangeContext(ctx, query, server)
	if err == nil && reply.Truncated && !r.TCP {
		client.Net = "tcp"
		reply, _, err = client.ExchangeContext(ctx, query, server)
	}
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Name: name, Code: dns.RcodeToString[reply.Rcode], Server: server, Network: client.Net}
	for _, rr := range reply.Answer {
		a.Records = append(a.Records, record(rr))
	}
	if !a.Found() {
		a.DeniedFor = deniedFor(reply)
	}
	switch {
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return a, fmt.Errorf("%w: %s", errRefused, a.Code)
	case reply.Rcode == dns.RcodeSuccess && !a.Found():
		a.Code = NoData
	}
	return a, nil
}
