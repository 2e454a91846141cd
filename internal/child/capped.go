package child

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// capped keeps the first and the last half of max bytes.
type capped struct {
	max  int64
	head []byte
	tail []byte // a ring once it is full
	next int    // where in tail the next byte goes
	left int64  // bytes that fell out between the two
}

func (c *capped) Write(p []byte) (int, error) {
	n := len(p)
	if room := int(c.max/2) - len(c.head); room > 0 {
		k := min(room, len(p))
		c.head, p = append(c.head, p[:k]...), p[k:]
	}
	size := int(c.max - c.max/2)
	if len(p) > size { // all but the end of it would be overwritten at once
		c.left += int64(len(p) - size)
		p = p[len(p)-size:]
	}
	if room := size - len(c.tail); room > 0 {
		k := min(room, len(p))
		c.tail, p = append(c.tail, p[:k]...), p[k:]
	}
	for len(p) > 0 {
		k := copy(c.tail[c.next:], p)
		c.next, c.left, p = (c.next+k)%size, c.left+int64(k), p[k:]
	}
	return n, nil
}

// bytes is what was kept, with a line in the middle that says how much wasn't.
func (c *capped) bytes() (kept []byte, truncated bool) {
	tail := append(bytes.Clone(c.tail[c.next:]), c.tail[:c.next]...)
	if c.left == 0 {
		return append(bytes.Clone(c.head), tail...), false
	}
	head, left := c.head, c.left
	for i := 0; i < utf8.UTFMax && len(head) > 0; i++ { // a character is whole or not there
		if r, n := utf8.DecodeLastRune(head); r != utf8.RuneError || n != 1 {
			break
		}
		head, left = head[:len(head)-1], left+1
	}
	for i := 0; i < utf8.UTFMax && len(tail) > 0 && !utf8.RuneStart(tail[0]); i++ {
		tail, left = tail[1:], left+1
	}
	out := bytes.Clone(head)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	out = append(out, "… "+thousands(left)+" bytes left out …\n"...)
	return append(out, tail...), true
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
