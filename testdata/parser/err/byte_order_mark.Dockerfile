FORM debian
﻿FROM debian
