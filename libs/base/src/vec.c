#include "base/vec.h"

size_t vec_next_capacity(size_t capacity, size_t wanted) {
    size_t next = capacity ? capacity * 2 : 8;
    return next < wanted ? wanted : next;
}
