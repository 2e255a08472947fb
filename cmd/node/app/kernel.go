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

package app

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
)

// kernel is what we hold of the kernel.
type kernel struct {
	families []model.Family
	tables   map[model.Family]agent.Table
	sweepers map[model.Family]agent.Sweeper
	counters map[model.Family]agent.Counter
	watcher  *nft.Watcher
	// background is what has to run beside the agent.
	background []func(context.Context)
	closers    []io.Closer
}

// openKernel finds out whether the kernel and our privileges are enough.
// swept is told of each walk through a family's connections.
func openKernel(ctx context.Context, o *Options, swept func(model.Family, conntrack.Swept)) (k kernel, err error) {
	defer func() {
		if err != nil {
			k.close()
		}
	}()
	k = kernel{
		families: families(), tables: map[model.Family]agent.Table{},
		sweepers: map[model.Family]agent.Sweeper{}, counters: map[model.Family]agent.Counter{},
	}
	log := ctrllog.FromContext(ctx)
	if len(k.families) == 1 {
		log.Info("This kernel has no IPv6, or it is switched off; only IPv4 is programmed")
	}
	var tables []*nft.Table
	for _, family := range k.families {
		table, err := k.openTable(family, o, swept)
		if err != nil {
			return k, err
		}
		tables = append(tables, table)
	}
	log.V(2).Info("Opened the tables", "protected", tables[0].Protected())
	if k.watcher, err = nft.Watch(tables...); err != nil {
		return k, err
	}
	k.closers = append(k.closers, k.watcher)
	return k, nil
}

func (k *kernel) openTable(family model.Family, o *Options, swept func(model.Family, conntrack.Swept)) (*nft.Table, error) {
	cleaner, err := conntrack.NewCleaner()
	if err != nil {
		return nil, err
	}
	k.closers = append(k.closers, cleaner)
	sweeper := conntrack.NewSweeper(cleaner, func(walk conntrack.Swept) { swept(family, walk) })
	table, err := nft.Open(family, nft.Options{Features: o.features(), Protect: o.Own.ProtectTable != protectOff, Sweeper: sweeper})
	if err != nil {
		return nil, err
	}
	k.closers = append(k.closers, table)
	if o.Own.ProtectTable == protectOn && !table.Protected() {
		return nil, errors.New("--protect-table=on: this kernel can not protect a table, which takes Linux 6.9: use auto or off")
	}
	k.tables[family], k.sweepers[family], k.counters[family] = table, sweeper, table
	k.background = append(k.background, sweeper.Run)
	return table, nil
}

// close leaves the tables in the kernel.
func (k *kernel) close() {
	for _, c := range slices.Backward(k.closers) {
		_ = c.Close()
	}
}

// families are those that something in the calling thread's network namespace
// can have an address of.
func families() []model.Family {
	if !hasIPv6("/proc/sys/net/ipv6/conf") {
		return []model.Family{model.IPv4}
	}
	return []model.Family{model.IPv4, model.IPv6}
}

// hasIPv6 says whether an interface may have IPv6 addresses, or one that is yet
// to come ("default"). What "all" says is only what was last written to all of
// them; each can be set otherwise since. Without IPv6 in the kernel there is no
// such directory.
func hasIPv6(conf string) bool {
	interfaces, _ := os.ReadDir(conf)
	return slices.ContainsFunc(interfaces, func(i os.DirEntry) bool {
		off, err := os.ReadFile(filepath.Join(conf, i.Name(), "disable_ipv6"))
		return err == nil && i.Name() != "all" && strings.TrimSpace(string(off)) == "0"
	})
}
