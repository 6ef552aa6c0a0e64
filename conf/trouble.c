/* SPDX-License-Identifier: MIT */
#include "conf/trouble.h"

G_DEFINE_QUARK(cluster - router - trouble, trouble)
