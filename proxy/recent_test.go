package proxy

import (
	"strconv"
	"testing"
)

func TestRecentDamageIsBoundedAndNewestFirst(t *testing.T) {
	s := &Server{}
	if len(s.RecentDamage()) != 0 {
		t.Fatal("damage before any request")
	}
	for i := range 3 * recentDamage {
		s.damaged.add(Damaged{RequestID: strconv.Itoa(i)})
	}
	got := s.RecentDamage()
	if len(got) != recentDamage || got[0].RequestID != strconv.Itoa(3*recentDamage-1) || got[recentDamage-1].RequestID != strconv.Itoa(2*recentDamage) {
		t.Errorf("%d, from %s to %s", len(got), got[0].RequestID, got[len(got)-1].RequestID)
	}
}
