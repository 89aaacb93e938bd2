"""Kernels of walkable.py that link spans, find walkable areas, and search paths over spans.

Spans are defined in voxels.py.
"""

from __future__ import annotations

import heapq
import math

import numpy as np

from sim_server.jit import jit

# row and column offsets of the four neighbours, in rotational order
_ROW = np.array([0, 1, 0, -1])
_COLUMN = np.array([-1, 0, 1, 0])


@jit
def links(start, floor, clear, columns, climb, height):
    """The span that an agent can step to in each of the four directions, int64 [S, 4], or -1."""
    cells = len(start) - 1
    links = np.full((len(floor), 4), -1, np.int64)
    for k in range(cells):
        row, column = k // columns, k % columns
        for side in range(4):
            r, c = row + _ROW[side], column + _COLUMN[side]
            if r < 0 or c < 0 or c >= columns or r * columns + c >= cells:
                continue
            other = r * columns + c
            for s in range(start[k], start[k + 1]):
                for n in range(start[other], start[other + 1]):
                    top = min(floor[s] + clear[s], floor[n] + clear[n])
                    if abs(floor[n] - floor[s]) <= climb and top - max(floor[s], floor[n]) >= height:
                        links[s, side] = n
                        break
    return links


@jit
def ledges(start, floor, clear, bottom, columns, climb, height):
    """Spans next to a drop of more than a step, or on a slope that rises more than a step across the cell."""
    cells = len(start) - 1
    out = np.zeros(len(floor), np.bool_)
    for k in range(cells):
        row, column = k // columns, k % columns
        for s in range(start[k], start[k + 1]):
            here, top = floor[s], floor[s] + clear[s]
            drop, lowest, highest = 0, here, here
            for side in range(4):
                r, c = row + _ROW[side], column + _COLUMN[side]
                if r < 0 or c < 0 or c >= columns or r * columns + c >= cells:
                    drop = max(drop, climb + here)
                    continue
                other = r * columns + c
                if min(top, bottom[other]) - max(here, -climb) > height:
                    drop = max(drop, climb + here)
                for n in range(start[other], start[other + 1]):
                    if min(top, floor[n] + clear[n]) - max(here, floor[n]) > height:
                        drop = max(drop, here - floor[n])
                        if abs(floor[n] - here) <= climb:
                            lowest, highest = min(lowest, floor[n]), max(highest, floor[n])
            out[s] = drop > climb or highest - lowest > climb
    return out


@jit
def keep_walkable(links, walkable):
    """Remove the links from and to spans that are not walkable."""
    for s in range(len(links)):
        for side in range(4):
            if links[s, side] >= 0 and not (walkable[s] and walkable[links[s, side]]):
                links[s, side] = -1


@jit
def distance(links, walkable):
    """Distance of each span to the nearest border, in half cells: 2 per straight step, 3 per diagonal step."""
    count = len(links)
    out = np.full(count, 2**20, np.int64)
    for s in range(count):
        for side in range(4):
            if links[s, side] < 0:
                out[s] = 0
        if not walkable[s]:
            out[s] = 0
    # spans are in the order of their cells, so that one forward and one backward sweep suffice
    for sweep in range(2):
        for i in range(count):
            s = i if sweep == 0 else count - 1 - i
            for side in range(4):
                n = links[s, side]
                if n < 0:
                    continue
                out[s] = min(out[s], out[n] + 2)
                d = links[n, (side + 3) % 4]
                if d >= 0:
                    out[s] = min(out[s], out[d] + 3)
    return out


@jit
def areas(links, walkable):
    """The connected area of each span (from 1; 0 for none), and the number of spans in each area."""
    area = np.zeros(len(links), np.int64)
    stack = np.empty(len(links) + 1, np.int64)
    count = 0
    for first in range(len(links)):
        if not walkable[first] or area[first]:
            continue
        count += 1
        area[first], stack[0], size = count, first, 1
        while size > 0:
            size -= 1
            s = stack[size]
            for side in range(4):
                n = links[s, side]
                if n >= 0 and area[n] == 0:
                    area[n] = count
                    stack[size] = n
                    size += 1
    sizes = np.zeros(count + 1, np.int64)
    for s in range(len(links)):
        sizes[area[s]] += 1
    return area, sizes


# ---------------------------------------------------------------------- paths


@jit
def _diagonal(links, s, side):
    """The span diagonally between `side` and the next side if both ways around lead to it, else -1."""
    n, m = links[s, side], links[s, (side + 1) % 4]
    if n < 0 or m < 0:
        return -1
    d = links[n, (side + 1) % 4]
    return d if d >= 0 and d == links[m, side] else -1


@jit
def shortest(links, cells, columns, start, goal):
    """Spans of the shortest path over straight and diagonal steps (A*), including both ends; empty if there is none."""
    count = len(links)
    cost = np.full(count, np.inf)
    parent = np.full(count, -1, np.int64)
    done = np.zeros(count, np.bool_)
    heap = [(0.0, start)]
    cost[start] = 0.0
    goal_row, goal_column = cells[goal] // columns, cells[goal] % columns
    more = math.sqrt(2.0) - 1.0
    while len(heap) > 0:
        _, s = heapq.heappop(heap)
        if done[s]:
            continue
        done[s] = True
        if s == goal:
            break
        for side in range(8):
            n = links[s, side] if side < 4 else _diagonal(links, s, side - 4)
            if n < 0 or done[n]:
                continue
            new = cost[s] + (1.0 if side < 4 else 1.0 + more)
            if new < cost[n]:
                cost[n], parent[n] = new, s
                dr, dc = abs(cells[n] // columns - goal_row), abs(cells[n] % columns - goal_column)
                heapq.heappush(heap, (new + max(dr, dc) + more * min(dr, dc), n))
    if not done[goal]:
        return np.empty(0, np.int64)
    length, s = 1, goal
    while s != start:
        s = parent[s]
        length += 1
    out = np.empty(length, np.int64)
    s = goal
    for k in range(length - 1, -1, -1):
        out[k] = s
        s = parent[s]
    return out


@jit
def _sees(links, cells, columns, a, b):
    """Whether the straight line between the cells of two spans crosses only linked spans and ends on the second one."""
    r0, c0 = cells[a] // columns, cells[a] % columns
    r1, c1 = cells[b] // columns, cells[b] % columns
    dr, dc = r1 - r0, c1 - c0
    side_r, side_c = (1 if dr > 0 else 3), (2 if dc > 0 else 0)
    dr, dc = abs(dr), abs(dc)
    r, c, s = 0, 0, a
    while r < dr or c < dc:
        # the next cell border that the line crosses, in units of 1 / (2 dr dc)
        ahead_r, ahead_c = (2 * r + 1) * dc, (2 * c + 1) * dr
        if c >= dc or (r < dr and ahead_r < ahead_c):
            s = links[s, side_r]
            r += 1
        elif r >= dr or ahead_c < ahead_r:
            s = links[s, side_c]
            c += 1
        else:  # through the corner: both ways around must be free
            n, m = links[s, side_r], links[s, side_c]
            if n < 0 or m < 0 or links[n, side_c] != links[m, side_r]:
                return False
            s = links[n, side_c]
            r += 1
            c += 1
        if s < 0:
            return False
    return s == b


@jit
def pulled(links, cells, columns, spans):
    """The path without the corners that a straight line can skip."""
    keep = np.zeros(len(spans), np.bool_)
    keep[0] = True
    at = 0
    while at < len(spans) - 1:
        ahead = len(spans) - 1
        while ahead > at + 1 and not _sees(links, cells, columns, spans[at], spans[ahead]):
            ahead -= 1
        keep[ahead] = True
        at = ahead
    return spans[keep]
